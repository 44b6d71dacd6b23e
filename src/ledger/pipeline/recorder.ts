// Owns the last step on the request path: events go into the outbox, whatever state the disk is in.
import type { LedgerEvent } from '../../sessions/events.js'
import type { UnplacedChange } from '../../sessions/unplaced-messages.js'
import { reasonOf } from '../../util/errors.js'
import { OutageLog } from '../../util/outage-log.js'
import type { EpochMs } from '../../util/time.js'
import { type DebugLog, logEvents } from './event-log.js'
import type { Outbox } from './outbox.js'
import type { Shipper } from './shipper.js'

/** Events that wait in memory while the outbox cannot be written; any more are lost. Chosen: some 5 MB. */
const MAX_UNWRITTEN = 10_000
/** So many of them are written at once. Chosen: the event loop is held up for some milliseconds. */
const BATCH_EVENTS = 1_000

/**
 * Never throws: forwarding goes on when the outbox cannot be written. What is recorded meanwhile waits in memory for a
 * second try, once a second; what is lost all the same is counted.
 */
export class Recorder {
  readonly #outbox: Pick<Outbox, 'append' | 'alive'>
  readonly #shipper: Pick<Shipper, 'notify'>
  readonly #log: DebugLog
  readonly #outage: OutageLog
  /** While a batch is gathered: its events. */
  #gathered: LedgerEvent[] | undefined
  readonly #unwritten: LedgerEvent[] = []
  /** Events that were not and will not be written, since the process started. */
  lostEvents = 0
  /** Why the outbox cannot be written; undefined while it can. */
  failure: string | undefined

  constructor(outbox: Pick<Outbox, 'append' | 'alive'>, shipper: Pick<Shipper, 'notify'>, log: DebugLog) {
    this.#outbox = outbox
    this.#shipper = shipper
    this.#log = log
    this.#outage = new OutageLog(log, {
      failing: 'the outbox cannot be written; what clients do now waits in memory',
      recovered: 'the outbox can be written again'
    })
  }

  /** How many events wait in memory. */
  get unwrittenEvents(): number {
    return this.#unwritten.length
  }

  /**
   * On return the events are on disk, or wait in memory because the outbox cannot be written, or are counted as lost.
   * `unplaced`: what changed of the messages without a session; false: that is not on disk.
   */
  record(events: readonly LedgerEvent[], unplaced: readonly UnplacedChange[] = []): boolean {
    if (this.#gathered) {
      this.#gathered.push(...events)
      return true
    }
    if (events.length + unplaced.length === 0) return true
    logEvents(this.#log, events)
    if (this.#unwritten.length === 0 && this.#append(events, unplaced)) return true
    const kept = events.slice(0, MAX_UNWRITTEN - this.#unwritten.length)
    this.#unwritten.push(...kept)
    this.lostEvents += events.length - kept.length
    return false
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

  /** Once a second: writes what waits in memory, and that the process is alive at `now`. */
  alive(now: EpochMs): void {
    while (this.#unwritten.length > 0 && this.#append(this.#unwritten.slice(0, BATCH_EVENTS)))
      this.#unwritten.splice(0, BATCH_EVENTS)
    if (this.#unwritten.length === 0) this.#try(() => this.#outbox.alive(now))
  }

  #append(events: readonly LedgerEvent[], unplaced?: readonly UnplacedChange[]): boolean {
    const isWritten = this.#try(() => this.#outbox.append(events, unplaced))
    if (isWritten) this.#shipper.notify()
    return isWritten
  }

  #try(write: () => void): boolean {
    try {
      write()
      this.failure = undefined
      this.#outage.recovered()
      return true
    } catch (error) {
      this.failure = reasonOf(error)
      const { failure: reason, lostEvents } = this
      this.#outage.failed({ reason, waiting: this.#unwritten.length, lostEvents })
      return false
    }
  }
}
