// Owns how many requests were accepted, by JSON-RPC method and by tool: as many labels as there are methods, and 100 tools.
import type { Observation } from './observation.js'
import { isAccepted } from './signals.js'

/** What clients send, over all revisions up to 2026-07-28. */
const METHODS = [
  'completion/complete',
  'initialize',
  'logging/setLevel',
  'notifications/cancelled',
  'notifications/initialized',
  'notifications/progress',
  'notifications/roots/list_changed',
  'ping',
  'prompts/get',
  'prompts/list',
  'resources/list',
  'resources/read',
  'resources/subscribe',
  'resources/templates/list',
  'resources/unsubscribe',
  'server/discover',
  'subscriptions/listen',
  'tasks/cancel',
  'tasks/get',
  'tasks/list',
  'tasks/result',
  'tasks/update',
  'tools/call',
  'tools/list'
]
const MAX_TOOLS = 100
const MAX_TOOL_LENGTH = 128

/** The label of all that has none of its own. */
export const OTHER = 'other'

/** Counts since the process started. A request whose method neither its headers nor the start of its body tell is not in them. */
export class RequestCounts {
  readonly #methods = new Map<string, number>([...METHODS, OTHER].map(method => [method, 0]))
  readonly #tools = new Map<string, number>([[OTHER, 0]])

  /** By method; those of the protocol are always there. */
  get methods(): ReadonlyMap<string, number> {
    return this.#methods
  }

  /** Calls by tool: the first 100 names seen, and `other`. */
  get tools(): ReadonlyMap<string, number> {
    return this.#tools
  }

  observe(observation: Observation): void {
    if (observation.kind !== 'streamable' && observation.kind !== 'message') return
    const { rpcMethod, rpcName, status } = observation
    if (rpcMethod === undefined || !isAccepted(status)) return
    add(this.#methods, this.#methods.has(rpcMethod) ? rpcMethod : OTHER)
    if (rpcMethod === 'tools/call' && rpcName !== undefined) add(this.#tools, this.#toolLabel(rpcName))
  }

  #toolLabel(name: string): string {
    if (this.#tools.has(name)) return name
    return this.#tools.size <= MAX_TOOLS && name.length <= MAX_TOOL_LENGTH ? name : OTHER
  }
}

const add = (counts: Map<string, number>, label: string): void =>
  void counts.set(label, (counts.get(label) ?? 0) + 1)
