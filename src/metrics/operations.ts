// Owns the figures of MCP operations: how many were accepted, and how long they took, by method and tool. A request is counted
// if its headers, or the start of its body, say what it asks for.
import { isSuccessful } from '../util/http-status.js'
import { Histogram, OPERATION_BOUNDS } from './histogram.js'
import { BoundedLabels, OTHER, protocolVersions } from './labels.js'
import { counter, type Labels, type PortableMetric, present, sample, type Value } from './metric.js'

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
/** Tools that get a label of their own; later ones share one. Chosen: clients choose the names, so there must be a bound. */
const MAX_TOOLS = 100
/** Combinations of labels that get a histogram of their own. Chosen, for the same reason. */
const MAX_SERIES = 300
/** A factor for making keys: more than any HTTP status. */
const STATUSES = 1_000
/** In place of a status: the client left before the response was complete. */
const CANCELLED = 1
const SUCCESS = 0
/** The labels of all further combinations; no other one has this `error_type`. */
const OVERFLOW: Labels = {
  mcp_method_name: OTHER,
  gen_ai_tool_name: OTHER,
  error_type: OTHER,
  mcp_protocol_version: OTHER,
  network_transport: 'tcp'
}

/** An operation whose response began. */
export interface Operation {
  /** The JSON-RPC method. */
  method: string
  /** Of the tool, prompt or resource. */
  name: string | undefined
  /** The revision of MCP that the request names. */
  protocolVersion: string | undefined
  /** Of the HTTP response. */
  status: number
}

/** Errors, and responses that could not be read. */
interface OutcomeCounts {
  errors: number
  unread: number
}

/** Whether a call of a tool failed; `name`: undefined where it could not be read. */
interface ToolOutcome {
  name: string | undefined
  errors: number
}

/** Counts from the start of the process on. */
export class Operations {
  readonly #methods = new BoundedLabels(METHODS.length, METHODS)
  readonly #tools = new BoundedLabels(MAX_TOOLS)
  readonly #versions = protocolVersions()
  /** By index of method and tool. */
  readonly #accepted = Array<number>(METHODS.length + 1).fill(0)
  readonly #toolCalls = Array<number>(MAX_TOOLS + 1).fill(0)
  readonly #toolErrors = Array<number>(MAX_TOOLS + 1).fill(0)
  /** Of all that is accounted, not of operations only. */
  #errors = 0
  #unread = 0
  readonly #durations = new Map<number, { labels: Labels; histogram: Histogram }>()
  readonly #overflow = new Histogram(OPERATION_BOUNDS)

  /** The response to an operation began. */
  began({ method, name, status }: Operation): void {
    if (!isSuccessful(status)) return
    this.#accepted[this.#methods.indexOf(method)]!++
    if (method === 'tools/call' && name !== undefined) this.#toolCalls[this.#tools.add(name)]!++
  }

  /** The response is complete, or the client left before that (`cancelled`), `seconds` after the request. */
  ended({ method, name, protocolVersion, status }: Operation, seconds: number, cancelled: boolean): void {
    const methodIndex = this.#methods.indexOf(method)
    // Only calls that were accepted make labels.
    const toolIndex = method === 'tools/call' && name !== undefined ? this.#tools.indexOf(name) + 1 : 0
    const version = this.#versions.indexOf(protocolVersion ?? '')
    const error = status >= 400 ? status : cancelled ? CANCELLED : SUCCESS
    const key = ((methodIndex * (MAX_TOOLS + 2) + toolIndex) * 8 + version) * STATUSES + error
    let entry = this.#durations.get(key)
    if (entry === undefined) {
      if (this.#durations.size >= MAX_SERIES) return this.#overflow.observe(seconds)
      const labels = present({
        mcp_method_name: this.#methods.at(methodIndex),
        gen_ai_tool_name: toolIndex === 0 ? '' : this.#tools.at(toolIndex - 1),
        error_type: error === SUCCESS ? '' : error === CANCELLED ? 'cancelled' : String(error),
        mcp_protocol_version: this.#versions.at(version),
        network_transport: 'tcp'
      })
      entry = { labels, histogram: new Histogram(OPERATION_BOUNDS) }
      this.#durations.set(key, entry)
    }
    entry.histogram.observe(seconds)
  }

  /** What came of an exchange, or of a part of it; `calls`: of tools. */
  outcome({ errors, unread }: OutcomeCounts, calls: readonly ToolOutcome[]): void {
    this.#errors += errors
    this.#unread += unread
    if (errors === 0) return
    for (const call of calls) this.#toolErrors[this.#tools.indexOf(call.name ?? OTHER)]! += call.errors
  }

  /** All of it, to be exposed. */
  metrics(): PortableMetric[] {
    return [
      counter(
        'turnstile_operations_accepted_total',
        'MCP requests and notifications that the upstream accepted, by method.',
        this.#accepted.map((count, i) => sample(count, { mcp_method_name: this.#methods.at(i) }))
      ),
      counter(
        'turnstile_tool_calls_accepted_total',
        'Tool calls that the upstream accepted, by tool.',
        this.#byTool(this.#toolCalls)
      ),
      counter(
        'turnstile_tool_errors_total',
        'Tool calls that failed: JSON-RPC errors and results with isError too, by tool.',
        this.#byTool(this.#toolErrors)
      ),
      counter(
        'turnstile_errors_total',
        'Errors of sessions and session-less clients, as the ledger counts them: JSON-RPC errors and results with isError too.',
        this.#errors
      ),
      counter(
        'turnstile_unread_responses_total',
        'Responses that could not be read, so that nobody knows whether they are errors.',
        this.#unread
      ),
      {
        name: 'mcp_server_operation_duration_seconds',
        help: 'Duration of an MCP request or notification, from its head until the last byte of the response.',
        bounds: OPERATION_BOUNDS,
        series: [
          ...Array.from(this.#durations.values(), ({ labels, histogram }) => histogram.series(labels)),
          ...(this.#durations.size < MAX_SERIES ? [] : [this.#overflow.series(OVERFLOW)])
        ]
      }
    ]
  }

  #byTool(counts: readonly number[]): Value[] {
    return counts
      .slice(0, this.#tools.names.length + 1)
      .map((count, i) => sample(count, { gen_ai_tool_name: this.#tools.at(i) }))
  }
}
