// Owns the way from outbox to store: in order, in batches, for ever, exactly once.
import { setTimeout as sleep } from 'node:timers/promises'
import { Histogram } from '../../metrics/histogram.js'
import { reasonOf } from '../../util/errors.js'
import { type Log, ThrottledWarning } from '../../util/log.js'
import type { OutboxEntry, Store } from '../store-port.js'
import type { LiveCounts } from './live-counts.js'
import type { Outbox } from './outbox.js'

const BATCH_ENTRIES = 2_000
const RETRY_MIN_MS = 100
const RETRY_MAX_MS = 2_000
/** Seconds. */
export const LAG_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3_600]

/** Why the store could not be written, and since when. */
export interface ShipperFailure {
  since: number
  message: string
}

/**
 * Ships outbox entries while it runs. The store keeps the applied position in the transaction that applies a batch, so
 * a batch whose outcome is unknown is simply sent again. Failures are retried without end; the outbox waits.
 */
export class Shipper {
  readonly #outbox: Outbox
  readonly #store: Store
  readonly #log: Log
  readonly #liveCounts: LiveCounts | undefined
  readonly #warning: ThrottledWarning
  readonly #stopping = new AbortController()
  #wake: () => void = () => undefined
  #registered = false
  #running: Promise<void> | undefined
  failure: ShipperFailure | undefined
  /** Since the process started: events that the store has, failed attempts, and how late it had what it was told. */
  shippedEvents = 0
  errors = 0
  readonly lag = new Histogram(LAG_BOUNDS)

  constructor(outbox: Outbox, store: Store, log: Log, liveCounts?: LiveCounts) {
    this.#outbox = outbox
    this.#store = store
    this.#log = log
    this.#liveCounts = liveCounts
    this.#warning = new ThrottledWarning(log)
  }

  start(): void {
    this.#running = this.#run()
  }

  /** There may be something to ship. */
  notify(): void {
    this.#wake()
  }

  /** Resolves once the outbox is empty, or after `timeoutMs`. */
  async drain(timeoutMs: number): Promise<void> {
    const deadline = Date.now() + timeoutMs
    while (this.#outbox.depth > 0 && Date.now() < deadline) await sleep(10)
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#wake()
    await this.#running
  }

  async #run(): Promise<void> {
    let retryMs = RETRY_MIN_MS
    while (!this.#stopping.signal.aborted) {
      try {
        const more = await this.#shipOnce()
        if (this.failure)
          this.#log.info({ failedForMs: Date.now() - this.failure.since }, 'the store answers again')
        this.failure = undefined
        retryMs = RETRY_MIN_MS
        if (!more) await this.#idle()
      } catch (error) {
        // The store may come back as another one, empty.
        this.#registered = false
        this.#note(error)
        await sleep(retryMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined)
        retryMs = Math.min(retryMs * 2, RETRY_MAX_MS)
      }
    }
  }

  /** Ships one batch; whether there may be more. */
  async #shipOnce(): Promise<boolean> {
    const now = Date.now()
    if (!this.#registered) {
      await this.#store.migrate()
      const { appliedOffset } = await this.#store.register(this.#outbox.instance, now)
      this.#outbox.skipTo(appliedOffset)
      this.#registered = true
    }
    const entries = this.#outbox.read(BATCH_ENTRIES)
    const readAll = entries.length < BATCH_ENTRIES
    if (readAll) this.#liveCounts?.outboxRead()
    const last = entries.at(-1)
    if (last) {
      await this.#store.apply(this.#outbox.instance, entries, now)
      this.#outbox.discard(last.offset)
      this.#observe(entries)
    }
    // A store that cannot be read may be one that can still be written.
    if (readAll) await this.#liveCounts?.follow(this.#store).catch(() => undefined)
    return this.#outbox.depth > 0
  }

  #observe(entries: readonly OutboxEntry[]): void {
    this.shippedEvents += entries.length
    // Uses are told later than they were; opens and closes at once.
    const oldest = entries.find(({ event }) => event.type === 'open' || event.type === 'close')
    if (oldest) this.lag.observe(Math.max(0, Date.now() - oldest.event.at) / 1_000)
  }

  async #idle(): Promise<void> {
    if (this.#stopping.signal.aborted || this.#outbox.depth > 0) return
    await new Promise<void>(resolve => (this.#wake = resolve))
  }

  #note(error: unknown): void {
    const message = reasonOf(error)
    this.errors++
    this.failure = { since: this.failure?.since ?? Date.now(), message }
    this.#warning.warn(
      { reason: message, waiting: this.#outbox.depth },
      'the store cannot be written; events wait in the outbox'
    )
  }
}
