// Owns the last step on the request path: events go into the outbox, whatever state the disk is in.
import type { LedgerEvent } from '../../sessions/events.js'
import type { UnplacedChange } from '../../sessions/unplaced-messages.js'
import { reasonOf } from '../../util/errors.js'
import { type Log, ThrottledLog } from '../../util/log.js'
import type { EpochMs } from '../../util/time.js'
import type { Outbox } from './outbox.js'
import type { Shipper } from './shipper.js'

/** Never throws: forwarding goes on when the outbox cannot be written, and what is lost is counted. */
export class Recorder {
  readonly #outbox: Outbox
  readonly #shipper: Shipper
  /** While a batch is gathered: its events. */
  #gathered: LedgerEvent[] | undefined
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

  /** On return the events are on disk, or counted as lost. `unplaced`: what changed of the messages without a session. */
  record(events: readonly LedgerEvent[], unplaced: readonly UnplacedChange[] = []): void {
    if (this.#gathered) return void this.#gathered.push(...events)
    if (events.length + unplaced.length === 0) return
    if (this.#try(() => this.#outbox.append(events, unplaced))) this.#shipper.notify()
    else this.lostEvents += events.length
  }

  /** What is recorded meanwhile is written at its end, in one transaction. */
  batch(gather: () => void): void {
    const events: LedgerEvent[] = (this.#gathered = [])
    try {
      gather()
    } finally {
      this.#gathered = undefined
      this.record(events)
    }
  }

  /** Notes that the process is alive at `now`. */
  alive(now: EpochMs): void {
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
