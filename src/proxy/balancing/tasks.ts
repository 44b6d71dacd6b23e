// Owns which gateway has a task (MCP 2026-07-28, extension `io.modelcontextprotocol/tasks`, SEP-2663): the one whose response
// created it.
import { storedEndpointId, type WireId } from '../../mcp/stored-ids.js'
import { parseJson } from '../../util/json.js'

/** Tasks whose gateways are remembered. Chosen: a few megabytes; the gateways are asked for older ones. */
const MAX_TASKS = 20_000
/** A longer id is not remembered. Chosen: far above a UUID. */
const MAX_ID_LENGTH = 255
/** So much of a response is kept for an object that comes in two parts. Chosen: a task is described in some 200 bytes. */
const KEPT_BYTES = 1024

const TASK_ID = Buffer.from('"taskId"')
/** Text inside a JSON string has its quotes escaped, so that a tool's own text does not match. */
const RESULT_TYPE = /"resultType"\s*:\s*"task"/
const TASK_ID_VALUE = /"taskId"\s*:\s*("(?:[^"\\]|\\.)*")/

/** A task that a request names. */
export interface NamedTask {
  endpointId: WireId
  taskId: string
}

/** The names of the gateways that created the tasks seen last. */
export class TaskOwners {
  readonly #names = new Map<string, string>()

  /** The name of a task's gateway, if that is known. */
  of(task: NamedTask): string | undefined {
    const key = keyOf(task)
    return key === undefined ? undefined : this.#names.get(key)
  }

  /** A gateway has this task. */
  note(task: NamedTask, upstream: string): void {
    const key = keyOf(task)
    if (key === undefined) return
    this.#names.delete(key)
    this.#names.set(key, upstream)
    if (this.#names.size > MAX_TASKS) this.#names.delete(this.#names.keys().next().value!)
  }
}

/** Reads the id of the task that a response creates, as the response passes. */
export class TaskIdReader {
  #kept: Buffer = Buffer.alloc(0)

  /** The id, with the part of the body that completes it. */
  feed(part: Buffer): string | undefined {
    const all = this.#kept.length === 0 ? part : Buffer.concat([this.#kept, part])
    this.#kept = Buffer.from(all.subarray(-KEPT_BYTES))
    const at = all.indexOf(TASK_ID)
    if (at === -1) return undefined
    const around = all.toString('utf8', Math.max(0, at - KEPT_BYTES), at + KEPT_BYTES)
    const [, value] = TASK_ID_VALUE.exec(around) ?? []
    const id = value !== undefined && RESULT_TYPE.test(around) ? parseJson(value) : undefined
    return typeof id === 'string' ? id : undefined
  }
}

const keyOf = ({ endpointId, taskId }: NamedTask): string | undefined => {
  const stored = storedEndpointId(endpointId)
  return stored === undefined || taskId.length > MAX_ID_LENGTH ? undefined : `${stored}\n${taskId}`
}
