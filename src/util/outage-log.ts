// Owns what the log says of an outage: a line when it begins, one a minute while it lasts, and one when it is over.
import type { Log } from './log.js'
import { MINUTE_MS, monotonicNow, type MonotonicMs } from './time.js'

/** Between two lines of an outage. Issue 19: people read the log of an outage, and a line a second hides all others. */
const INTERVAL_MS = MINUTE_MS

/** The outages of one thing, one after the other. */
export class OutageLog {
  readonly #log: Log
  readonly #failing: string
  readonly #recovered: string
  readonly #now: () => MonotonicMs
  #since: MonotonicMs | undefined
  #saidAt: MonotonicMs = 0
  #failures = 0

  /** `failing`, `recovered`: the messages. `now`: the clock; for tests. */
  constructor(
    log: Log,
    messages: { failing: string; recovered: string },
    now: () => MonotonicMs = monotonicNow
  ) {
    this.#log = log
    this.#failing = messages.failing
    this.#recovered = messages.recovered
    this.#now = now
  }

  /** It failed, or still does. */
  failed(details: object): void {
    const now = this.#now()
    this.#failures++
    if (this.#since === undefined) this.#log.warn(details, this.#failing)
    else if (now - this.#saidAt >= INTERVAL_MS)
      this.#log.warn(
        { ...details, failedForMs: Math.round(now - this.#since), failures: this.#failures },
        this.#failing
      )
    else return
    this.#since ??= now
    this.#saidAt = now
  }

  /** It works; says so after a failure. */
  recovered(details: object = {}): void {
    if (this.#since === undefined) return
    const failedForMs = Math.round(this.#now() - this.#since)
    this.#log.info({ ...details, failedForMs, failures: this.#failures }, this.#recovered)
    this.#since = undefined
    this.#failures = 0
  }
}
