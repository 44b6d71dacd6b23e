// Owns the wiring: what is observed goes into the outbox, the outbox into the store, and the admin port reads the store.
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { HealthReport } from './admin/routes/health.js'
import { buildAdmin } from './admin/server.js'
import type { Address, Config, StoreLocation } from './config.js'
import { LiveCounts } from './ledger/live-counts.js'
import { openMysql } from './ledger/mysql/database.js'
import { Keeper } from './ledger/keeper.js'
import { Outbox } from './ledger/outbox.js'
import { Recorder } from './ledger/recorder.js'
import { Shipper } from './ledger/shipper.js'
import { sqlStore } from './ledger/sql/store.js'
import { openEmbeddedStore } from './ledger/sqlite/store.js'
import type { Store } from './ledger/store.js'
import { startProxy } from './proxy/server.js'
import { storedId } from './sessions/ids.js'
import { SessionTracker } from './sessions/tracker.js'

/** How often uses are told to the ledger, and the outbox that the process lives. */
const TICK_MS = 1_000
const SHIP_AT_EXIT_MS = 5_000

export interface App {
  /** Where clients connect. */
  readonly proxyUrl: string
  /** Where operators ask. */
  readonly adminUrl: string
  /** Ends in order: not ready, no new connections, streams cut after the drain timeout, the outbox shipped. */
  close(): Promise<void>
}

/** Starts everything. Throws when a port, the data directory or the embedded store cannot be used. */
export async function startApp(config: Config, logger: FastifyBaseLogger): Promise<App> {
  const cleanups: (() => Promise<unknown> | void)[] = []
  let closing = false
  const close = async (): Promise<void> => {
    closing = true
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  }
  try {
    const outbox = new Outbox(config.dataDir, Date.now())
    cleanups.push(() => outbox.close())
    const store = await openStore(config.store, config.sessionIdleTimeoutMs)
    cleanups.push(() => store.close())

    const liveCounts = config.maxSessionsPerEndpoint > 0 ? new LiveCounts() : undefined
    const shipper = new Shipper(outbox, store, logger, liveCounts)
    shipper.start()
    cleanups.push(() => shipper.stop())

    const tracker = new SessionTracker({
      onChange: (endpointId, by) => liveCounts?.change(endpointId, by)
    })
    const recorder = new Recorder(outbox, shipper, logger)
    const tick = (): void => {
      recorder.tick(tracker.flush(), Date.now())
      if (liveCounts) shipper.notify()
    }
    const timer = setInterval(tick, TICK_MS)
    cleanups.push(async () => {
      clearInterval(timer)
      tick()
      await shipper.drain(SHIP_AT_EXIT_MS)
    })

    const keeper = new Keeper(
      store,
      outbox.instance,
      {
        ...config,
        idleTimeoutMs: config.sessionIdleTimeoutMs,
        onLost: () => recorder.record(tracker.held(Date.now()))
      },
      logger
    )
    keeper.start()
    cleanups.push(() => keeper.stop())

    const health = (): HealthReport => {
      const { ready, ...checks } = ledgerHealth(outbox, shipper, recorder)
      return { ready: ready && !closing, ...checks, closing }
    }
    const admin = buildAdmin({ store, adminToken: config.adminToken, logger, health })
    const adminUrl = await listen(admin, config.admin)
    cleanups.push(() => admin.close())

    const proxy = await startProxy({
      ...config,
      ...config.listen,
      liveSessions: endpointId => liveCounts?.of(storedId(endpointId) ?? '') ?? 0,
      patterns: { stream: config.streamPath, sse: config.ssePath, message: config.messagePath },
      observe: observation => recorder.record(tracker.observe(observation)),
      logger
    })
    cleanups.push(() => proxy.close(config.drainTimeoutMs))
    cleanups.push(() => sleep(config.drainDelayMs))
    return { proxyUrl: proxy.url, adminUrl, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function openStore(location: StoreLocation, idleTimeoutMs: number): Promise<Store> {
  return location.kind === 'sqlite'
    ? await openEmbeddedStore(location.path, idleTimeoutMs)
    : sqlStore(openMysql(location.url), idleTimeoutMs)
}

async function listen(admin: FastifyInstance, { host, port }: Address): Promise<string> {
  return await admin.listen({ host, port })
}

/** Whether what is observed reaches the disk and the store. */
function ledgerHealth(outbox: Outbox, shipper: Shipper, recorder: Recorder): HealthReport {
  return {
    ready: recorder.failure === undefined && shipper.failure === undefined,
    outbox: {
      ok: recorder.failure === undefined,
      depth: outbox.depth,
      oldestAt: isoTime(outbox.oldestAt),
      sizeBytes: outbox.sizeBytes,
      lostEvents: recorder.lostEvents
    },
    store: { ok: shipper.failure === undefined, failingSince: isoTime(shipper.failure?.since) }
  }
}

const isoTime = (at: number | undefined): string | null =>
  at === undefined ? null : new Date(at).toISOString()
