// Owns one proxy and its accounting: what is observed goes into the outbox, the outbox into the store.
import type { FastifyBaseLogger } from 'fastify'
import type { Config } from '../config/settings.js'
import { startLiveCounts } from '../ledger/pipeline/live-counts.js'
import { openOutbox } from '../ledger/pipeline/outbox.js'
import { Recorder } from '../ledger/pipeline/recorder.js'
import { startShipper } from '../ledger/pipeline/shipper.js'
import { startStoreMaintenance } from '../ledger/pipeline/store-maintenance.js'
import { Routes } from '../mcp/routes.js'
import { Operations } from '../metrics/operations.js'
import { Traffic } from '../metrics/traffic.js'
import { startProxy } from '../proxy/proxy-server.js'
import { ClientCredentials } from '../sessions/client-credentials.js'
import type { Observe } from '../sessions/observations.js'
import { SessionTracker } from '../sessions/tracker.js'
import { startIdleEnder } from '../upkeep/idle-ender.js'
import { startSuspectChecker, type SuspectChecker } from '../upkeep/suspect-checker.js'
import { UpstreamRequests } from '../upkeep/upstream-requests.js'
import { startUpstreamWatch, type UpstreamWatch } from '../upkeep/upstream-watch.js'
import { type Closable, startInOrder } from '../util/startup.js'
import { epochNow, MAX_DURATION_MS } from '../util/time.js'
import { ledgerHealth } from './ledger-health.js'
import { storeAt } from './open-store.js'
import { operatorControl } from './operator-control.js'
import { instanceMetrics } from './proxy-instance-metrics.js'
import type { Methods, WorkerControl } from './rpc.js'

/** How often uses are told to the ledger, and the outbox that the process lives. */
const TICK_MS = 1_000
/** How long to wait for the store to have what was observed. */
const SHIP_TIMEOUT_MS = 5_000

export interface ProxyInstance extends Closable, Methods, WorkerControl {
  /** Where clients connect. */
  readonly proxyUrl: string
}

/** Starts the proxy, its outbox, and what writes to the store for it. */
export async function startInstance(config: Config, logger: FastifyBaseLogger): Promise<ProxyInstance> {
  return await startInOrder(async onClose => {
    const store = storeAt(config.store, config.sessionIdleTimeoutMs)
    onClose(() => store.close())
    // A server may be away for a while; a file that cannot be used now cannot be used at all.
    if (config.store.kind === 'sqlite') await store.migrate()
    const outbox = openOutbox({ directory: config.dataDir, now: epochNow() })
    onClose(() => outbox.close())
    const shipper = startShipper({ outbox, store, log: logger })
    onClose(() => shipper.close())
    const liveCounts = config.maxSessionsPerEndpoint > 0 ? startLiveCounts({ store, outbox }) : undefined
    onClose(() => liveCounts?.close())

    const tracker = new SessionTracker({
      idleTimeoutMs: config.sessionIdleTimeoutMs,
      onChange: (endpointId, by) => liveCounts?.change(endpointId, by)
    })
    const operations = new Operations()
    const recorder = new Recorder(outbox, shipper, logger)
    const tick = (atLeast?: number): void => recorder.tick(tracker.flush(Date.now(), atLeast), Date.now())
    const shipped = async (): Promise<void> => {
      tick()
      await shipper.drain(SHIP_TIMEOUT_MS)
    }
    const timer = setInterval(() => tick(), TICK_MS)
    onClose(async () => {
      clearInterval(timer)
      tick(Infinity)
      await shipper.drain(SHIP_TIMEOUT_MS)
    })

    const routes = new Routes({
      stream: config.streamPath,
      sse: config.ssePath,
      message: config.messagePath
    })
    const callers = new ClientCredentials()
    if (config.sessionIdleTimeoutMs > 0) {
      const aging = setInterval(() => callers.age(), callersAgeMs(config.sessionIdleTimeoutMs))
      onClose(() => clearInterval(aging))
    }
    const own = new UpstreamRequests({ ...config, routes, credentials: callers })
    onClose(() => own.close())
    const observe: Observe = observation => {
      recorder.record(tracker.observe(observation))
      liveCounts?.recorded()
    }

    const ender = config.endIdleSessions
      ? startIdleEnder({ end: session => own.end(session), log: logger })
      : undefined
    onClose(() => ender?.close())
    const keeper = startStoreMaintenance({
      store,
      instance: outbox.instance,
      leaseMs: config.leaseMs,
      idleTimeoutMs: config.sessionIdleTimeoutMs,
      retentionMs: config.retentionMs,
      rollupRetentionMs: config.rollupRetentionMs,
      onLost: () => recorder.record(tracker.held(Date.now())),
      onIdle: sessions => ender?.add(sessions),
      log: logger
    })
    onClose(() => keeper.close())

    let watching: UpstreamWatch | undefined
    if (config.confirmSuspects) {
      const watch: UpstreamWatch = (watching = startUpstreamWatch({
        upstream: config.upstream,
        connectTimeoutMs: config.connectTimeoutMs,
        onReturn: () => void checker.upstreamReturned(Date.now()),
        onLoss: lostAt => checker.upstreamMayHaveRestarted(lostAt)
      }))
      const checker: SuspectChecker = startSuspectChecker({
        suspects: tracker.suspects,
        ping: session => own.ping(session),
        observe,
        isAway: () => watch.away,
        store,
        instanceId: outbox.instance.id,
        shipped
      })
      onClose(() => checker.close())
      onClose(() => watch.close())
    }

    const proxy = await startProxy({
      ...config,
      ...config.listen,
      liveSessions: endpointId => liveCounts?.of(endpointId) ?? 0,
      routes,
      credentials: callers,
      observe,
      operations,
      traffic: new Traffic(),
      logger
    })
    onClose(() => proxy.close(config.drainTimeoutMs))
    return {
      proxyUrl: proxy.url,
      health: () => ledgerHealth(outbox, shipper, recorder),
      metrics: instanceMetrics({
        ...{ proxy, operations, tracker, outbox, recorder, shipper, keeper, store },
        watch: watching
      }),
      ...operatorControl({ proxy, recorder, shipper, own })
    }
  })
}

/** Longer than it takes until the gateway is told of who ended as idle. */
const callersAgeMs = (idleTimeoutMs: number): number => Math.min(2 * idleTimeoutMs + 60_000, MAX_DURATION_MS)
