// Owns the wiring: what is observed goes into the outbox, the outbox into the store, and the admin port reads the store.
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { Gateway } from './admin/gateway.js'
import { Mask } from './admin/mask.js'
import type { HealthReport } from './admin/routes/health.js'
import { buildAdmin } from './admin/server.js'
import { type Address, type Config, type StoreLocation, version } from './config.js'
import { gatewayUrl, operatorControl } from './control.js'
import { LiveCounts } from './ledger/live-counts.js'
import { openMysql } from './ledger/mysql/database.js'
import { Keeper } from './ledger/keeper.js'
import { Outbox } from './ledger/outbox.js'
import { Recorder } from './ledger/recorder.js'
import { Shipper } from './ledger/shipper.js'
import { sqlStore } from './ledger/sql/store.js'
import { openEmbeddedStore } from './ledger/sqlite/store.js'
import type { Store } from './ledger/store.js'
import { maskKey } from './mask-key.js'
import { Callers } from './proxy/callers.js'
import { OwnRequests } from './proxy/own-requests.js'
import { pathOf, Routes } from './proxy/routes.js'
import { startProxy } from './proxy/server.js'
import { UpstreamWatch } from './proxy/upstream-watch.js'
import { storedId } from './sessions/ids.js'
import type { Observe } from './sessions/observation.js'
import { SessionTracker } from './sessions/tracker.js'
import { IdleEnder } from './upkeep/idle-ender.js'
import { Suspicion } from './upkeep/suspicion.js'

/** How often uses are told to the ledger, and the outbox that the process lives. */
const TICK_MS = 1_000
/** How long to wait for the store to have what was observed. */
const SHIP_TIMEOUT_MS = 5_000
/** The ledger keeps up while what is observed is in the store within this time. */
const MAX_DELAY_MS = 10_000

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
      idleTimeoutMs: config.sessionIdleTimeoutMs,
      onChange: (endpointId, by) => liveCounts?.change(endpointId, by)
    })
    const recorder = new Recorder(outbox, shipper, logger)
    const tick = (atLeast?: number): void => {
      recorder.tick(tracker.flush(Date.now(), atLeast), Date.now())
      if (liveCounts) shipper.notify()
    }
    const shipped = async (): Promise<void> => {
      tick()
      await shipper.drain(SHIP_TIMEOUT_MS)
    }
    const timer = setInterval(() => tick(), TICK_MS)
    cleanups.push(async () => {
      clearInterval(timer)
      tick(Infinity)
      await shipper.drain(SHIP_TIMEOUT_MS)
    })

    const routes = new Routes({
      stream: config.streamPath,
      sse: config.ssePath,
      message: config.messagePath
    })
    const callers = new Callers()
    const own = new OwnRequests({ ...config, routes, callers })
    cleanups.push(() => own.close())
    const observe: Observe = observation => recorder.record(tracker.observe(observation))

    const ender = config.endIdleSessions ? new IdleEnder(session => own.end(session), logger) : undefined
    const keeper = new Keeper(
      store,
      outbox.instance,
      {
        ...config,
        idleTimeoutMs: config.sessionIdleTimeoutMs,
        onLost: () => recorder.record(tracker.held(Date.now())),
        onIdle: sessions => ender?.add(sessions)
      },
      logger
    )
    keeper.start()
    cleanups.push(() => keeper.stop())

    const health = (): HealthReport => {
      const { ready, ...checks } = ledgerHealth(outbox, shipper, recorder)
      return { ready: ready && !closing, ...checks, closing }
    }
    const streamableUrl = (endpointId: string) => gatewayUrl(config.upstream, config.streamPath, endpointId)
    const admin = buildAdmin({
      store,
      tokens: [...(config.adminToken ?? []), ...(config.adminTokenFile ?? [])],
      allowedOrigins: config.adminAllowOrigin ?? [],
      mask: new Mask(maskKey(config.dataDir), config.mask),
      logger,
      version: version(),
      health,
      monitoring: config.monitoring
        ? {
            control: operatorControl({ proxy: () => proxy, recorder, shipper, endpointUrl: streamableUrl }),
            gateway: new Gateway(config.upstream, endpointId => ({
              streamable: streamableUrl(endpointId),
              sse: gatewayUrl(config.upstream, config.ssePath, endpointId)
            })),
            keepsUp: () =>
              ledgerHealth(outbox, shipper, recorder).ready &&
              Date.now() - (outbox.oldestAt ?? Date.now()) < MAX_DELAY_MS,
            historyLimit: config.historyLimit,
            settings: shownSettings(config),
            endpointUrl: endpointId =>
              proxy.url +
              (endpointId === undefined ? config.streamPath : pathOf(config.streamPath, endpointId))
          }
        : undefined
    })
    const adminUrl = await listen(admin, config.admin)
    cleanups.push(() => admin.close())

    if (config.confirmSuspects) {
      const watch: UpstreamWatch = new UpstreamWatch({
        ...config,
        onReturn: () => void suspicion.upstreamReturned(Date.now()),
        onLoss: lostAt => suspicion.upstreamLost(lostAt)
      })
      const suspicion: Suspicion = new Suspicion({
        suspects: tracker.suspects,
        suspect: session => tracker.suspect(session),
        ping: session => own.ping(session),
        observe,
        isAway: () => watch.away,
        store,
        instanceId: outbox.instance.id,
        shipped
      })
      cleanups.push(() => {
        watch.stop()
        suspicion.stop()
      })
    }

    const proxy = await startProxy({
      ...config,
      ...config.listen,
      liveSessions: endpointId => liveCounts?.of(storedId(endpointId) ?? '') ?? 0,
      routes,
      callers,
      observe,
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

/** For operators: how sessions are counted and kept; nothing secret. */
function shownSettings(config: Config): Record<string, unknown> {
  const { upstream, store, streamPath, ssePath, messagePath, rewriteHost, mask, historyLimit, logLevel } =
    config
  const { sessionIdleTimeoutMs, leaseMs, retentionMs, rollupRetentionMs } = config
  return {
    upstream: upstream.href,
    store: store.kind,
    ...{ streamPath, ssePath, messagePath, rewriteHost, mask, historyLimit, logLevel },
    ...{ sessionIdleTimeoutMs, leaseMs, retentionMs, rollupRetentionMs }
  }
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
