// Owns the periodic work on the store: the heartbeat of this instance, noticing that another instance is lost (its lease ran
// out), idle close, and the retention of old rows.
import { setTimeout as sleep } from 'node:timers/promises'
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

/** How often this instance sends its heartbeat, and looks for instances that are lost and sessions that idled. Chosen. */
const ROUND_MS = SECOND_MS
/** How often old rows are looked for. Chosen. */
const TIDY_INTERVAL_MS = MINUTE_MS
/** How long an end waits for another instance to report that its session was open. Chosen: longer than most outages. */
const EARLY_CLOSE_MS = HOUR_MS
/** How long the feed is kept: followers read it once a second, and the clocks of instances differ. Chosen. */
const FEED_KEPT_MS = 5 * MINUTE_MS

/** What `startStoreMaintenance` needs. */
export interface StoreMaintenanceOptions {
  store: StoreWriter
  /** This instance, which sends the heartbeat. */
  instance: InstanceIdentity
  /** The lease that each heartbeat renews: an instance that was not heard of for this long is lost. */
  leaseMs: number
  /** How long rows of sessions that ended, and roll-ups, are kept; 0: for ever. */
  retentionMs: number
  rollupRetentionMs: number
  /** Another instance took this one for lost: whatever streams this one still holds must be reported again. */
  onLost: () => void
  /** This instance closed these sessions as idle. */
  onIdle: (sessions: readonly IdleSession[]) => void
  log: Log
}

/** Another instance: its last heartbeat, and its silence since, on this process's own clock: no two clocks are compared. */
interface Heard {
  heartbeatAt: EpochMs
  silentMs: number
}

/** Works once a second while the store can be written. After a failed round the lease of every other instance begins again. */
export class StoreMaintenance implements Closable {
  readonly #options: StoreMaintenanceOptions
  readonly #closing = new AbortController()
  readonly #heard = new Map<string, Heard>()
  #lostAt: EpochMs | null = null
  #roundAtMs: MonotonicMs = monotonicNow()
  #tidyAtMs: MonotonicMs = 0
  /** Failed rounds since the process started. */
  errors = 0
  readonly #running: Promise<void>

  constructor(options: StoreMaintenanceOptions) {
    this.#options = options
    this.#running = this.#run()
  }

  /** The round under way is finished. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      // The shipper reports a store that fails.
      await this.#round().catch(() => {
        this.errors++
        this.#heard.clear()
      })
      await sleep(ROUND_MS, undefined, { signal: this.#closing.signal }).catch(() => undefined)
    }
  }

  async #round(): Promise<void> {
    const { store, instance, log, onLost, retentionMs, rollupRetentionMs } = this.#options
    const { lostAt, others } = await store.heartbeat(instance, epochNow())
    if (lostAt !== this.#lostAt) onLost()
    this.#lostAt = lostAt
    for (const other of this.#withoutLease(others)) {
      const streams = await store.loseStreams(other.id, other.heartbeatAt, epochNow())
      log.warn({ proxy: other.id, streams }, 'another proxy is gone; its streams are closed as lost')
    }
    await untilNone(() => this.#closeIdle())
    if (monotonicNow() < this.#tidyAtMs) return
    this.#tidyAtMs = monotonicNow() + TIDY_INTERVAL_MS
    await untilNone(() => store.settleEarlyCloses(epochNow() - EARLY_CLOSE_MS, epochNow()))
    await untilNone(() => store.deleteFeed(epochNow() - FEED_KEPT_MS))
    if (retentionMs > 0) await untilNone(() => store.deleteEnded(epochNow() - retentionMs))
    if (rollupRetentionMs > 0) await untilNone(() => store.deleteRollups(epochNow() - rollupRetentionMs))
  }

  async #closeIdle(): Promise<number> {
    const { store, onIdle } = this.#options
    const closed = await store.closeIdle(epochNow())
    onIdle(closed)
    return closed.length
  }

  /** The instances whose lease ran out: their heartbeat has stood still for so long, over successful rounds. */
  #withoutLease(others: { id: string; heartbeatAt: EpochMs }[]): { id: string; heartbeatAt: EpochMs }[] {
    const nowMs = monotonicNow()
    // What delays a round (a silent database, a suspended machine) may delay the heartbeats of the others too.
    const passedMs = Math.min(nowMs - this.#roundAtMs, 2 * ROUND_MS)
    this.#roundAtMs = nowMs
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

/** Repeats a batch until there is nothing left for it. */
async function untilNone(batch: () => Promise<number>): Promise<void> {
  while ((await batch()) > 0);
}

/** Starts the rounds; the store need not be reachable. */
export const startStoreMaintenance = (options: StoreMaintenanceOptions): StoreMaintenance =>
  new StoreMaintenance(options)
