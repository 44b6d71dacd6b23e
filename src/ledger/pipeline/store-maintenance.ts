// Owns the periodic work on the store: the heartbeat of this instance, noticing that another instance is lost (its lease ran
// out), idle close, and the retention of old rows. Each has a loop of its own, so that none waits until another is done.
import { setTimeout as sleep } from 'node:timers/promises'
import { reasonOf } from '../../util/errors.js'
import type { Log } from '../../util/log.js'
import type { Closable } from '../../util/startup.js'
import {
  type EpochMs,
  epochNow,
  HOUR_MS,
  MINUTE_MS,
  monotonicNow,
  type MonotonicMs,
  SECOND_MS
} from '../../util/time.js'
import type { IdleSession, InstanceIdentity, StoreWriter } from '../store-port.js'
import type { LedgerClock } from './ledger-clock.js'
import type { StoreFailure } from './shipper.js'

/** How often this instance sends its heartbeat, and looks for instances that are lost and sessions that idled. Chosen. */
const ROUND_MS = SECOND_MS
/** How often old rows are looked for. Chosen. */
const TIDY_INTERVAL_MS = MINUTE_MS
/** After a batch of old rows the store rests this many times as long as the batch took. Chosen: half of the time is for others. */
const TIDY_REST = 1
/** How long an end waits for another instance to report that its session was open. Chosen: longer than most outages. */
const EARLY_CLOSE_MS = HOUR_MS
/** How long the feed is kept at least: followers read it once a second, and the clocks of instances differ. Chosen. */
const MIN_FEED_KEPT_MS = 5 * MINUTE_MS

/** What `startStoreMaintenance` needs. */
export interface StoreMaintenanceOptions {
  store: StoreWriter
  clock: LedgerClock
  /** This instance, which sends the heartbeat. */
  instance: InstanceIdentity
  /** The lease that each heartbeat renews: an instance that was not heard of for this long is lost. */
  leaseMs: number
  /** How long rows of sessions that ended, and roll-ups, are kept; 0: for ever. */
  retentionMs: number
  rollupRetentionMs: number
  /** How long events are kept, all of which are in the feed; 0: for ever. */
  eventRetentionMs: number
  /** Another instance took this one for lost: whatever streams this one still holds must be reported again. */
  onLost: () => void
  /** The name of a principal was erased. */
  onErased: () => void
  /** Whether the store knows this instance; until then nothing is done. */
  isRegistered: () => boolean
  /** The heartbeat failed: the store must be set up again. */
  onFailure: () => void
  /** This instance closed these sessions as idle. */
  onIdle: (sessions: readonly IdleSession[]) => void
  log: Log
}

/** Another instance: its last heartbeat, and its silence since, on this process's own clock: no two clocks are compared. */
interface Heard {
  heartbeatAt: EpochMs
  silentMs: number
}

/** A store that does not respond to a heartbeat for so long is not there. Chosen: it shows within 5 s. */
const SILENT_MS = 4 * SECOND_MS

/** One kind of old rows: `batch` deletes some of them and returns how many; it is due again at `dueAtMs`. */
interface TidyJob {
  batch: () => Promise<number>
  dueAtMs: MonotonicMs
}

/** Works while the store can be written. After a failed heartbeat the lease of every other instance begins again. */
export class StoreMaintenance implements Closable {
  readonly #options: StoreMaintenanceOptions
  readonly #closing = new AbortController()
  readonly #heard = new Map<string, Heard>()
  /** Instances whose streams are being closed. */
  readonly #losing = new Map<string, Promise<void>>()
  readonly #tidyJobs: TidyJob[]
  #lostAt: EpochMs | null = null
  #erasedAt: EpochMs | null = null
  #heardAtMs: MonotonicMs = monotonicNow()
  #respondedAtMs: MonotonicMs = monotonicNow()
  #probeFailure: StoreFailure | undefined
  /** Other instances of this store are at work. */
  hasOthers = false
  /** Failures since the process started. */
  errors = 0
  readonly #failed = (): undefined => {
    this.errors++
    return undefined
  }
  readonly #running: Promise<unknown>

  constructor(options: StoreMaintenanceOptions) {
    this.#options = options
    const { store, clock, retentionMs, rollupRetentionMs, eventRetentionMs } = options
    const feedKeptMs = Math.max(MIN_FEED_KEPT_MS, eventRetentionMs)
    const jobs = [
      () => store.settleEarlyCloses(clock.now() - EARLY_CLOSE_MS, clock.now()),
      ...(eventRetentionMs > 0 ? [() => store.deleteFeed(clock.now() - feedKeptMs)] : []),
      ...(retentionMs > 0
        ? [
            () => store.deleteEnded(clock.now() - retentionMs),
            () => store.deleteOldEndpoints(clock.now() - retentionMs, clock.now())
          ]
        : []),
      ...(rollupRetentionMs > 0 ? [() => store.deleteRollups(clock.now() - rollupRetentionMs)] : [])
    ]
    this.#tidyJobs = jobs.map(batch => ({ batch, dueAtMs: 0 }))
    this.#running = Promise.all([
      this.#repeat(() => this.#heartbeat()),
      this.#repeat(() => this.#closeIdle()),
      this.#repeat(() => this.#tidy())
    ])
  }

  /** Why the store cannot be written though it may have nothing to write; undefined while it can. */
  get failure(): StoreFailure | undefined {
    const silentMs = monotonicNow() - this.#respondedAtMs
    if (silentMs <= SILENT_MS) return this.#probeFailure
    return { since: epochNow() - silentMs, message: 'the store does not respond' }
  }

  /** What is under way is finished. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
    await Promise.all(this.#losing.values())
  }

  /** Repeats work until the end: once a round, or after the rest in milliseconds that it returns. */
  async #repeat(work: () => Promise<number | undefined>): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      const startedAtMs = monotonicNow()
      let rest: number | undefined
      if (this.#options.isRegistered()) rest = await work().catch(this.#failed)
      else this.#noContact()
      const restMs = rest ?? startedAtMs + ROUND_MS - monotonicNow()
      await sleep(restMs, undefined, { signal }).catch(() => undefined)
    }
  }

  async #heartbeat(): Promise<undefined> {
    const { store, instance, clock, onLost, onErased, onFailure } = this.#options
    try {
      const { lostAt, erasedAt, others } = await clock.reading(() => store.heartbeat(instance, clock.now()))
      if (lostAt !== this.#lostAt) onLost()
      this.#lostAt = lostAt
      if (erasedAt !== this.#erasedAt) onErased()
      this.#erasedAt = erasedAt
      for (const other of this.#withoutLease(others)) this.#lose(other)
      this.hasOthers = others.length > 0
      this.#respondedAtMs = monotonicNow()
    } catch (error) {
      this.#noContact()
      onFailure()
      throw error
    }
    await store.probe().then(
      () => (this.#probeFailure = undefined),
      (error: unknown) => (this.#probeFailure ??= { since: epochNow(), message: reasonOf(error) })
    )
  }

  /** The shipper reports a store that fails; when it is back, all is as at the start. */
  #noContact(): void {
    this.#heard.clear()
    this.#respondedAtMs = monotonicNow()
  }

  /** Closes the streams of an instance; if that fails, the next round finds it lost again. */
  #lose({ id, heartbeatAt }: { id: string; heartbeatAt: EpochMs }): void {
    if (this.#losing.has(id)) return
    const { store, clock, log } = this.#options
    const losing = store
      .loseStreams(id, heartbeatAt, clock.now())
      .then(
        streams => log.warn({ proxy: id, streams }, 'another proxy is gone; its streams are closed as lost'),
        this.#failed
      )
    this.#losing.set(
      id,
      losing.finally(() => this.#losing.delete(id))
    )
  }

  async #closeIdle(): Promise<number | undefined> {
    const { store, clock, onIdle } = this.#options
    const closed = await store.closeIdle(clock.now())
    onIdle(closed)
    return closed.length > 0 ? 0 : undefined
  }

  /** One batch of each kind of old rows that is due: where there is much of one kind, the others have their turn all the same. */
  async #tidy(): Promise<number | undefined> {
    const startedAtMs = monotonicNow()
    const due = this.#tidyJobs.filter(({ dueAtMs }) => dueAtMs <= startedAtMs)
    for (const job of due) {
      job.dueAtMs = startedAtMs + TIDY_INTERVAL_MS
      const deleted = await job.batch().catch(this.#failed)
      if (deleted) job.dueAtMs = startedAtMs
    }
    return due.some(({ dueAtMs }) => dueAtMs === startedAtMs)
      ? TIDY_REST * (monotonicNow() - startedAtMs)
      : undefined
  }

  /** The instances whose lease ran out: their heartbeat has stood still for so long, over successful rounds. */
  #withoutLease(others: { id: string; heartbeatAt: EpochMs }[]): { id: string; heartbeatAt: EpochMs }[] {
    const nowMs = monotonicNow()
    // What delays a round (a silent database, a suspended machine) may delay the heartbeats of the others too.
    const passedMs = Math.min(nowMs - this.#heardAtMs, 2 * ROUND_MS)
    this.#heardAtMs = nowMs
    return others.filter(({ id, heartbeatAt }) => {
      const heard = this.#heard.get(id)
      if (heard?.heartbeatAt !== heartbeatAt) {
        this.#heard.set(id, { heartbeatAt, silentMs: 0 })
        return false
      }
      heard.silentMs += passedMs
      return heard.silentMs >= this.#options.leaseMs
    })
  }
}

/** Starts to work; the store need not be reachable. */
export const startStoreMaintenance = (options: StoreMaintenanceOptions): StoreMaintenance =>
  new StoreMaintenance(options)
