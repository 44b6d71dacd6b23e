// Owns the throttling of live notices (opened, closed): above a rate some are left out. The state of the rooms is still sent.
import { type Log, ThrottledLog } from '../../util/log.js'
import { type MonotonicMs, monotonicNow, SECOND_MS } from '../../util/time.js'

/** Each notice counts once for each of its readers. Chosen. */
const MAX_SENDS_PER_SECOND = 10_000

/** Counts what is sent within each second of the clock. */
export class NoticeThrottle {
  readonly #throttledLog: ThrottledLog
  readonly #now: () => MonotonicMs
  #second = 0
  #sends = 0

  /** `now`: for tests. */
  constructor(log: Log, now: () => MonotonicMs = monotonicNow) {
    this.#throttledLog = new ThrottledLog(log)
    this.#now = now
  }

  /** Whether a notice may be sent to so many readers; a refusal is logged. */
  maySend(readers: number): boolean {
    const second = Math.floor(this.#now() / SECOND_MS)
    if (this.#second !== second) this.#sends = 0
    this.#second = second
    this.#sends += readers
    if (this.#sends <= MAX_SENDS_PER_SECOND) return true
    this.#throttledLog.warn(
      { readers },
      'too many openings and ends for all clients of live monitoring: some messages are left out'
    )
    return false
  }
}
