// Owns the way from outbox to store: in order, in batches, with retries and backoff without end, exactly once.
import { setTimeout as sleep } from 'node:timers/promises'
import { OTHER_ENDPOINT } from '../../mcp/stored-ids.js'
import { Histogram } from '../../metrics/histogram.js'
import { reasonOf } from '../../util/errors.js'
import { type Log, ThrottledLog } from '../../util/log.js'
import { OutageLog } from '../../util/outage-log.js'
import type { Closable } from '../../util/startup.js'
import { type EpochMs, epochNow, monotonicNow } from '../../util/time.js'
import type { OutboxEntry, SharedSession, Store } from '../store-port.js'
import type { LedgerClock } from './ledger-clock.js'
import type { Outbox } from './outbox.js'

/** Chosen: a backlog is shipped in large transactions, and each still ends within a few hundred milliseconds. */
const BATCH_ENTRIES = 2_000
/** The backoff between two attempts: it doubles from the first to the second of these. Chosen: a store that is back is seen soon. */
const RETRY_MIN_MS = 100
const RETRY_MAX_MS = 2_000
/** How often `whenEmpty` looks whether the outbox is empty. Chosen. */
const DRAIN_POLL_MS = 10
/** The buckets of the lag, in seconds: from what a local store takes to an outage of an hour. */
export const LAG_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3_600]

/** Why the store cannot be written, and since when. */
export interface StoreFailure {
  since: EpochMs
  message: string
}

/** What `startShipper` needs. */
export interface ShipperOptions {
  outbox: Outbox
  store: Pick<Store, 'migrate' | 'times' | 'register' | 'apply'>
  clock: LedgerClock
  log: Log
}

/**
 * Ships outbox entries until it is closed. The outbox offset is committed in the store, in the transaction that applies a
 * batch, so a batch whose outcome is unknown is simply sent again. Failures are retried without end; the outbox waits.
 */
export class Shipper implements Closable {
  readonly #outbox: Outbox
  readonly #store: ShipperOptions['store']
  readonly #clock: LedgerClock
  readonly #log: Log
  readonly #throttledLog: ThrottledLog
  readonly #outage: OutageLog
  readonly #closing = new AbortController()
  #wake: () => void = () => undefined
  #registered = false
  readonly #running: Promise<void>
  /** Undefined while the store can be written. */
  failure: StoreFailure | undefined
  /** Since the process started: events that the store has, and failed attempts to write it. */
  shippedEvents = 0
  errors = 0
  /** Sessions that turned out to be used on behalf of two principals. */
  principalMismatches = 0
  /** Sessions that the store counts at `OTHER_ENDPOINT`, as it has too many endpoints. */
  othersSessions = 0
  /** Seconds from an open or close until the store had it; of each batch the oldest. */
  readonly lag = new Histogram(LAG_BOUNDS)

  constructor({ outbox, store, clock, log }: ShipperOptions) {
    this.#outbox = outbox
    this.#clock = clock
    this.#store = store
    this.#log = log
    this.#throttledLog = new ThrottledLog(log)
    this.#outage = new OutageLog(log, {
      failing: 'the store cannot be written; events wait in the outbox',
      recovered: 'the store answers again'
    })
    this.#running = this.#run()
  }

  /** Whether the store knows this instance: only then can it be written. */
  get isRegistered(): boolean {
    return this.#registered
  }

  /** The store failed somebody else: it is set up again, and `failure` says whether that works. */
  registerAgain(): void {
    this.#registered = false
    this.#wake()
  }

  /** Wakes the shipper: there may be something to ship. */
  notify(): void {
    this.#wake()
  }

  /** Resolves once the outbox is empty, or after `timeoutMs`. */
  async whenEmpty(timeoutMs: number): Promise<void> {
    const deadline = monotonicNow() + timeoutMs
    while (this.#outbox.depth > 0 && monotonicNow() < deadline) await sleep(DRAIN_POLL_MS)
  }

  /** A batch under way is finished; what is left waits in the outbox for the next start. */
  async close(): Promise<void> {
    this.#closing.abort()
    this.#wake()
    await this.#running
  }

  async #run(): Promise<void> {
    let retryMs = RETRY_MIN_MS
    while (!this.#closing.signal.aborted) {
      try {
        const more = await this.#shipOnce()
        this.failure = undefined
        this.#outage.recovered()
        retryMs = RETRY_MIN_MS
        if (!more) await this.#idle()
      } catch (error) {
        // The store may come back empty, or as another one.
        this.#registered = false
        this.#note(error)
        await sleep(retryMs, undefined, { signal: this.#closing.signal }).catch(() => undefined)
        retryMs = Math.min(retryMs * 2, RETRY_MAX_MS)
      }
    }
  }

  /** Ships one batch; whether there may be more. */
  async #shipOnce(): Promise<boolean> {
    const { instance } = this.#outbox
    if (!this.#registered) {
      await this.#store.migrate()
      await this.#clock.begin(() => this.#store.times())
      const { appliedOffset } = await this.#store.register(instance, this.#clock.now())
      this.#outbox.skipTo(appliedOffset)
      this.#registered = true
    }
    const entries = this.#outbox.read(BATCH_ENTRIES)
    const last = entries.at(-1)
    if (last) {
      const told = entries.map(entry => ({ ...entry, event: this.#clock.event(entry.event) }))
      const { othersSessions, shared } = await this.#store.apply(instance, told, this.#clock.now())
      this.#noteOthers(othersSessions)
      this.#outbox.discard(last.offset)
      this.#noteShared(shared)
      this.#observe(entries)
    }
    return this.#outbox.depth > 0
  }

  #noteShared(shared: readonly SharedSession[]): void {
    this.principalMismatches += shared.length
    for (const { endpointId, connectAt } of shared)
      this.#throttledLog.warn(
        { endpointId, connectedAt: new Date(connectAt).toISOString() },
        'a session is used on behalf of two principals; it keeps the first one'
      )
  }

  #observe(entries: readonly OutboxEntry[]): void {
    this.shippedEvents += entries.length
    // Uses are reported in batches, some time later; opens and closes at once.
    const oldest = entries.find(({ event }) => event.type === 'open' || event.type === 'close')
    if (oldest) this.lag.observe(Math.max(0, epochNow() - oldest.event.at) / 1_000)
  }

  #noteOthers(sessions: number): void {
    if (sessions > 0 && this.othersSessions === 0)
      this.#log.warn(
        { endpoint: OTHER_ENDPOINT },
        'there are too many endpoints: sessions of new ones are counted at one endpoint, `other`; see --max-endpoints, and delete endpoints that are not needed'
      )
    this.othersSessions += sessions
  }

  async #idle(): Promise<void> {
    if (this.#closing.signal.aborted || this.#outbox.depth > 0 || !this.#registered) return
    await new Promise<void>(resolve => (this.#wake = resolve))
  }

  #note(error: unknown): void {
    const message = reasonOf(error)
    this.errors++
    this.failure = { since: this.failure?.since ?? epochNow(), message }
    this.#outage.failed({ reason: message, waiting: this.#outbox.depth })
  }
}

/** Starts to ship; the store need not be reachable. */
export const startShipper = (options: ShipperOptions): Shipper => new Shipper(options)
