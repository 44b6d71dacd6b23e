// Owns throttled logging: the part of a logger that the rooms need, and warnings that are logged at most once a second.
import { monotonicNow, type MonotonicMs } from './time.js'

/** The part of a pino logger that the rooms use. */
export interface Log {
  warn(details: object, message: string): void
  info(details: object, message: string): void
}

/** Chosen: often enough to see in the log how long a failure lasts, and rarely enough not to fill the disk. */
const INTERVAL_MS = 1_000

/** Throttles warnings: at most one a second is logged, those in between are dropped. */
export class ThrottledWarning {
  readonly #log: Log
  #loggedAt: MonotonicMs = -INTERVAL_MS

  constructor(log: Log) {
    this.#log = log
  }

  /** Logs the warning, unless another one was logged within the last second. */
  warn(details: object, message: string): void {
    const now = monotonicNow()
    if (now - this.#loggedAt < INTERVAL_MS) return
    this.#loggedAt = now
    this.#log.warn(details, message)
  }
}
