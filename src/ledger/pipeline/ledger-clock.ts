// Owns the clock of the ledger: all times that are committed, and all decisions about idle sessions, are of the store's clock,
// so that proxies whose clocks differ agree. Events are observed by the clock of their process, and put right when shipped.
import type { LedgerEvent } from '../../sessions/events.js'
import type { Log } from '../../util/log.js'
import { DAY_MS, type EpochMs, epochNow, SECOND_MS } from '../../util/time.js'
import type { StoreTimes } from '../store-port.js'

/** Clocks that differ by less count as equal: a time of the store is read within some milliseconds. Chosen. */
const TOLERANCE_MS = SECOND_MS / 2
/** A difference from which on there is a warning. Chosen: clocks that are kept in time differ by far less. */
const WARNED_MS = 2 * SECOND_MS
/**
 * Where the store's clock was put back, this clock goes slower by this part until it is right, for no time may be told again.
 * Chosen: idle sessions end a tenth later meanwhile.
 */
const SLOWED_BY = 0.1
/** A clock that was ahead by more was wrong altogether: it is followed at once. Chosen. */
const MAX_AHEAD_MS = DAY_MS

/** The store's clock as this process knows it. */
export class LedgerClock {
  readonly #log: Log
  /** What is added to the clock of this process: it was `#offsetMs` at `#notedAt`, and goes down to `#rightOffsetMs`. */
  #offsetMs = 0
  #rightOffsetMs = 0
  #notedAt: EpochMs = 0
  #warnedOfMs = 0
  /** How far the wall clock of this machine is ahead of the store's, in milliseconds; undefined until that is known. */
  aheadMs: number | undefined

  constructor(log: Log) {
    this.#log = log
  }

  /** The instant on the ledger's clock. */
  now(): EpochMs {
    return this.of(epochNow())
  }

  /** An instant of this process's wall clock (`epochNow`) as the ledger tells it. */
  of(at: EpochMs): EpochMs {
    return Math.floor(at + this.#offsetAt(at))
  }

  /** An event as the ledger tells it. */
  event(event: LedgerEvent): LedgerEvent {
    if (this.#offsetAt(event.at) === 0) return event
    const told = { ...event, at: this.of(event.at) }
    if (told.type === 'visit') told.from = this.of(told.from)
    if (told.type === 'use' && told.provedAt !== undefined) told.provedAt = this.of(told.provedAt)
    return told
  }

  /** Runs `ask`, whose result has the time of the store in the meantime, and takes note of that time. */
  async reading<T extends { storeAt: EpochMs }>(ask: () => Promise<T>): Promise<T> {
    const askedAt = epochNow()
    const answer = await ask()
    this.#note(answer.storeAt, askedAt, epochNow())
    return answer
  }

  /**
   * Reads the store's clock before anything is told. At the start of the process it goes on from the time that proxies of
   * this store told last, where the store's clock was put back since.
   */
  async begin(ask: () => Promise<StoreTimes>): Promise<void> {
    const isStart = this.aheadMs === undefined
    const { toldAt } = await this.reading(ask)
    const behindMs = toldAt - this.now()
    if (!isStart || behindMs <= TOLERANCE_MS || behindMs >= MAX_AHEAD_MS) return
    this.#offsetMs += behindMs
  }

  #note(storeAt: EpochMs, askedAt: EpochMs, answeredAt: EpochMs): void {
    const isFirst = this.aheadMs === undefined
    const heldMs = (answeredAt - askedAt) / 2
    const wallAheadMs = Date.now() - heldMs - storeAt
    this.aheadMs = Math.abs(wallAheadMs) <= heldMs ? 0 : Math.round(wallAheadMs)
    this.#warn()
    const offset = this.#offsetAt(answeredAt)
    const right = Math.round(storeAt - askedAt - heldMs)
    if (Math.abs(right - this.#rightOffsetMs) > TOLERANCE_MS + heldMs) this.#rightOffsetMs = right
    const isSlowed = !isFirst && right < offset && right > offset - MAX_AHEAD_MS
    this.#offsetMs = isSlowed ? offset : this.#rightOffsetMs
    this.#notedAt = answeredAt
  }

  #offsetAt(at: EpochMs): number {
    if (this.#offsetMs <= this.#rightOffsetMs) return this.#offsetMs
    const slowedMs = SLOWED_BY * Math.max(0, at - this.#notedAt)
    return Math.max(this.#rightOffsetMs, this.#offsetMs - slowedMs)
  }

  #warn(): void {
    const aheadMs = this.aheadMs ?? 0
    if (Math.abs(aheadMs - this.#warnedOfMs) < WARNED_MS) return
    this.#warnedOfMs = Math.abs(aheadMs) < WARNED_MS ? 0 : aheadMs
    if (this.#warnedOfMs === 0) return
    this.#log.warn(
      { aheadMs },
      "this machine's clock and the store's differ; the ledger's times are the store's"
    )
  }
}
