// Owns the last step on the request path: events go into the outbox, whatever state the disk is in.
import type { LedgerEvent } from '../../sessions/events.js'
import { reasonOf } from '../../util/errors.js'
import { type Log, ThrottledLog } from '../../util/log.js'
import type { EpochMs } from '../../util/time.js'
import type { Outbox } from './outbox.js'
import type { Shipper } from './shipper.js'

/** Never throws: forwarding goes on when the outbox cannot be written, and what is lost is counted. */
export class Recorder {
  readonly #outbox: Outbox
  readonly #shipper: Shipper
  readonly #throttledLog: ThrottledLog
  /** Events that could not be written, since the process started. */
  lostEvents = 0
  /** Why the outbox cannot be written; undefined while it can. */
  failure: string | undefined

  constructor(outbox: Outbox, shipper: Shipper, log: Log) {
    this.#outbox = outbox
    this.#shipper = shipper
    this.#throttledLog = new ThrottledLog(log)
  }

  /** On return the events are on disk, or counted as lost. */
  record(events: readonly LedgerEvent[]): void {
    if (events.length === 0) return
    if (this.#try(() => this.#outbox.append(events))) this.#shipper.notify()
    else this.lostEvents += events.length
  }

  /** Once a second: records the batch of uses that is due, and that the process is alive at `now`. */
  tick(uses: readonly LedgerEvent[], now: EpochMs): void {
    this.record(uses)
    this.#try(() => this.#outbox.alive(now))
  }

  #try(write: () => void): boolean {
    try {
      write()
      this.failure = undefined
      return true
    } catch (error) {
      this.failure = reasonOf(error)
      this.#throttledLog.warn(
        { reason: this.failure, lostEvents: this.lostEvents },
        'the outbox cannot be written; what clients do now is not recorded'
      )
      return false
    }
  }
}
