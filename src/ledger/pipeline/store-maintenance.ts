// Owns what must happen although nobody asks: the heartbeat, and ends concluded from silence.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '../../util/log.js'
import type { IdleSession, InstanceIdentity, StoreWriter } from '../store-port.js'

const ROUND_MS = 1_000
const TIDY_INTERVAL_MS = 60_000
/** How long an end waits for another proxy to tell that its session was open. */
const EARLY_CLOSE_MS = 3_600_000
/** Whoever follows the feed asks once a second; clocks of proxies differ. */
const FEED_KEPT_MS = 300_000

export interface StoreMaintenanceOptions {
  /** A proxy not heard of for this long is taken for lost. */
  leaseMs: number
  /** 0: sessions never idle. */
  idleTimeoutMs: number
  /** 0: for ever. */
  retentionMs: number
  rollupRetentionMs: number
  /** Another proxy took this one for lost: whatever streams it still holds must be told again. */
  onLost: () => void
  /** This proxy closed these. */
  onIdle: (sessions: readonly IdleSession[]) => void
}

/** What was last heard of another proxy, and its silence since: on this process's own clock, so that no two are compared. */
interface Heard {
  heartbeatAt: number
  silentMs: number
}

/** Runs once a second while the store answers; after a failed round every lease starts anew. */
export class StoreMaintenance {
  readonly #store: StoreWriter
  readonly #instance: InstanceIdentity
  readonly #options: StoreMaintenanceOptions
  readonly #log: Log
  readonly #stopping = new AbortController()
  readonly #heard = new Map<string, Heard>()
  #lostAt: number | null = null
  #roundMs = performance.now()
  #tidyAtMs = 0
  /** Failed rounds since the process started. */
  errors = 0
  #running: Promise<void> | undefined

  constructor(store: StoreWriter, instance: InstanceIdentity, options: StoreMaintenanceOptions, log: Log) {
    this.#store = store
    this.#instance = instance
    this.#options = options
    this.#log = log
  }

  start(): void {
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      // A store that fails is the shipper's to report.
      await this.#round().catch(() => {
        this.errors++
        this.#heard.clear()
      })
      await sleep(ROUND_MS, undefined, { signal: this.#stopping.signal }).catch(() => undefined)
    }
  }

  async #round(): Promise<void> {
    const { lostAt, others } = await this.#store.heartbeat(this.#instance, Date.now())
    if (lostAt !== this.#lostAt) this.#options.onLost()
    this.#lostAt = lostAt
    for (const other of this.#silent(others)) {
      const streams = await this.#store.loseStreams(other.id, other.heartbeatAt, Date.now())
      this.#log.warn({ proxy: other.id, streams }, 'another proxy is gone; its streams are closed as lost')
    }
    const { idleTimeoutMs, retentionMs, rollupRetentionMs } = this.#options
    if (idleTimeoutMs > 0) await untilNone(() => this.#closeIdle(idleTimeoutMs))
    if (performance.now() < this.#tidyAtMs) return
    this.#tidyAtMs = performance.now() + TIDY_INTERVAL_MS
    await untilNone(() => this.#store.settleEarlyCloses(Date.now() - EARLY_CLOSE_MS, Date.now()))
    await untilNone(() => this.#store.deleteFeed(Date.now() - FEED_KEPT_MS))
    if (retentionMs > 0) await untilNone(() => this.#store.deleteEnded(Date.now() - retentionMs))
    if (rollupRetentionMs > 0)
      await untilNone(() => this.#store.deleteRollups(Date.now() - rollupRetentionMs))
  }

  async #closeIdle(idleTimeoutMs: number): Promise<number> {
    const closed = await this.#store.closeIdle(idleTimeoutMs, Date.now())
    this.#options.onIdle(closed)
    return closed.length
  }

  /** The proxies whose heartbeat has stood still for a lease of successful rounds. */
  #silent(others: { id: string; heartbeatAt: number }[]): { id: string; heartbeatAt: number }[] {
    const nowMs = performance.now()
    // What holds a round up (a silent database, a suspended machine) may hold up the others' heartbeats too.
    const passedMs = Math.min(nowMs - this.#roundMs, 2 * ROUND_MS)
    this.#roundMs = nowMs
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
