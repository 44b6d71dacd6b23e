// Owns reading events for whoever follows them: one look a quarter of a second for all who wait, however many they are.
import type { EventPosition, EventsPart, EventsQuery } from '../../ledger/event-port.js'
import type { StoreReader } from '../../ledger/store-port.js'
import { reasonOf } from '../../util/errors.js'
import { type Log, ThrottledLog } from '../../util/log.js'
import { monotonicNow, SECOND_MS } from '../../util/time.js'
import { BadQueryError, BusyError, ExpiredCursorError } from '../schemas/admin-errors.js'

/** How often the store is asked for the end of the events while somebody waits. Chosen: people take it for immediate. */
const INTERVAL_MS = 250
/** The most who wait or stream at once. Chosen: far more than an installation has consumers. */
const MAX_FOLLOWERS = 200

/** Which events are asked for; `after` may be `NOW`. */
export type EventsAsked = Omit<EventsQuery, 'keptMs'>

/** Stands for the place after all events that are there: who asks so gets only those that come. */
const NOW = 'now'

/** Someone who waits for what comes after a place. */
interface Waiter {
  after: EventPosition
  wake: () => void
}

/** Reads events. Its methods reject when the store does. */
export class EventReader {
  readonly #store: Pick<StoreReader, 'events' | 'eventsEnd'>
  readonly #keptMs: number
  readonly #throttledLog: ThrottledLog
  /** Questions under way: those who were woken together ask the same. */
  readonly #reading = new Map<string, Promise<EventsPart>>()
  readonly #waiters = new Set<Waiter>()
  #timer: NodeJS.Timeout | undefined
  #isLooking = false
  #followers = 0

  /** `keptMs`: for how long events are kept; 0: for ever. */
  constructor(store: Pick<StoreReader, 'events' | 'eventsEnd'>, keptMs: number, log: Log) {
    this.#store = store
    this.#keptMs = keptMs
    this.#throttledLog = new ThrottledLog(log)
  }

  /** The next events. Throws `ExpiredCursorError`, and `BadQueryError` for a place that no store made. */
  async read(asked: EventsAsked): Promise<EventsPart> {
    const key = JSON.stringify(asked)
    let reading = this.#reading.get(key)
    if (!reading) {
      reading = this.#read(asked).finally(() => this.#reading.delete(key))
      this.#reading.set(key, reading)
    }
    return await reading
  }

  /**
   * The next events; where there are none, those that come within `waitMs`. Throws as `read` does, and `BusyError` where too
   * many wait. Once `signal` aborts it returns soon.
   */
  async poll(asked: EventsAsked, waitMs: number, signal: AbortSignal): Promise<EventsPart> {
    const until = monotonicNow() + waitMs
    let part = await this.#toTheEnd(asked)
    if (part.events.length > 0 || waitMs === 0) return part
    const leave = this.follow()
    try {
      while (part.events.length === 0 && !signal.aborted && monotonicNow() < until) {
        const { position } = part
        if (await this.changed(position, until - monotonicNow(), signal))
          part = await this.#toTheEnd({ ...asked, after: position })
      }
    } finally {
      leave()
    }
    return part
  }

  /** Takes the place of someone who waits or streams; the function returned gives it back. Throws `BusyError`. */
  follow(): () => void {
    if (this.#followers >= MAX_FOLLOWERS) throw new BusyError('too many consumers wait for events', SECOND_MS)
    this.#followers++
    return () => this.#followers--
  }

  /** Resolves with true once there is more after a place; with false after `waitMs`, or when `signal` aborts. */
  changed(after: EventPosition, waitMs: number, signal: AbortSignal): Promise<boolean> {
    return new Promise(resolve => {
      if (signal.aborted) return resolve(false)
      const end = (isMore: boolean): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', stop)
        this.#waiters.delete(waiter)
        resolve(isMore)
      }
      const stop = (): void => end(false)
      const waiter = { after, wake: () => end(true) }
      const timer = setTimeout(stop, waitMs)
      signal.addEventListener('abort', stop)
      this.#waiters.add(waiter)
      this.#timer ??= setInterval(() => void this.#look(), INTERVAL_MS).unref()
    })
  }

  async #read({ after, ...asked }: EventsAsked): Promise<EventsPart> {
    if (after === NOW) {
      const end = await this.#store.eventsEnd()
      return { events: [], start: end, position: end, more: false }
    }
    const part = await this.#store.events({ ...asked, ...(after && { after }), keptMs: this.#keptMs })
    if (part === 'expired') throw new ExpiredCursorError()
    if (part === 'unreadable')
      throw new BadQueryError(
        'after (or Last-Event-ID) is no cursor of events: give that of an earlier response, unchanged, or now'
      )
    return part
  }

  /** The next events that are there, however far away. */
  async #toTheEnd(asked: EventsAsked): Promise<EventsPart> {
    let part = await this.read(asked)
    while (part.events.length === 0 && part.more) part = await this.read({ ...asked, after: part.position })
    return part
  }

  async #look(): Promise<void> {
    if (this.#waiters.size === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
      return
    }
    if (this.#isLooking) return
    this.#isLooking = true
    try {
      const end = await this.#store.eventsEnd()
      for (const { after, wake } of [...this.#waiters]) if (after !== end) wake()
    } catch (error) {
      this.#throttledLog.warn(
        { reason: reasonOf(error) },
        'the store cannot be read; those who follow events wait for it'
      )
    } finally {
      this.#isLooking = false
    }
  }
}
