// Owns the uses of tools that this process saw, added up until the ledger is told: by hour, endpoint and tool.
import { storedEndpointId, type StoredId } from '../mcp/stored-ids.js'
import { type EpochMs, HOUR_MS } from '../util/time.js'
import type { ToolEvent } from './events.js'
import { UseBatching } from './use-batching.js'

/** What tools are called whose names are not known, cannot be stored, or are too many. */
export const OTHER_TOOL = 'other'

/** If more wait, all of them are reported with the next flush. Chosen: a megabyte. */
const MAX_WAITING = 2_000

/** A call of a tool, or one more round of it, that is over. */
export interface ToolCall {
  /** As the client wrote it; undefined where that could not be read. */
  name: string | undefined
  /** 0: it is a later round of a call that counts already. */
  calls: 0 | 1
  errors: 0 | 1
  /** How long it took, in milliseconds. */
  durationMs: number
}

interface Waiting {
  readonly key: string
  readonly event: ToolEvent
  /** When it began to wait. */
  readonly reportedAt: EpochMs
}

/** Sums of calls. What waits is reported in turns, as uses of sessions are. */
export class ToolUses {
  readonly #waiting = new Map<string, Waiting>()
  readonly #batching: UseBatching<Waiting>

  constructor(idleTimeoutMs: number) {
    this.#batching = new UseBatching(idleTimeoutMs)
  }

  /** A call on this endpoint ended at `at`. */
  add(endpointId: StoredId, { name, calls, errors, durationMs }: ToolCall, at: EpochMs): void {
    const tool = storedToolName(name)
    const key = `${Math.floor(at / HOUR_MS)}\n${endpointId}\n${tool}`
    const known = this.#waiting.get(key)?.event
    if (known !== undefined) {
      known.at = at
      known.calls += calls
      known.errors += errors
      known.durationSumMs += durationMs
      known.durationMaxMs = Math.max(known.durationMaxMs, durationMs)
      return
    }
    const sums = { calls, errors, durationSumMs: durationMs, durationMaxMs: durationMs }
    const event: ToolEvent = { type: 'tool', endpointId, tool, at, ...sums }
    const waiting = { key, event, reportedAt: at }
    this.#waiting.set(key, waiting)
    this.#batching.add(waiting)
  }

  /** Takes out what is to be reported at `now`; `atLeast` so many, if there are. */
  flush(now: EpochMs, atLeast?: number): ToolEvent[] {
    const all = this.#waiting.size > MAX_WAITING ? Infinity : atLeast
    return this.#batching.flush(now, all).map(({ key, event }) => {
      this.#waiting.delete(key)
      return event
    })
  }
}

/** As ids of endpoints are stored, for the same columns. */
const storedToolName = (name: string | undefined): string =>
  (name === undefined ? undefined : storedEndpointId(name)) ?? OTHER_TOOL
