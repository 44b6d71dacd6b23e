// Owns one proxy and its accounting: what is observed goes into the outbox, the outbox into the store.
import type { FastifyBaseLogger } from 'fastify'
import type { Config } from '../config/settings.js'
import { LiveCounts } from '../ledger/pipeline/live-counts.js'
import { Outbox } from '../ledger/pipeline/outbox.js'
import { Recorder } from '../ledger/pipeline/recorder.js'
import { Shipper } from '../ledger/pipeline/shipper.js'
import { StoreMaintenance } from '../ledger/pipeline/store-maintenance.js'
import { Routes } from '../mcp/routes.js'
import { storedId } from '../mcp/stored-ids.js'
import { Operations } from '../metrics/operations.js'
import { Traffic } from '../metrics/traffic.js'
import { startProxy } from '../proxy/proxy-server.js'
import { ClientCredentials } from '../sessions/client-credentials.js'
import type { Observe } from '../sessions/observations.js'
import { SessionTracker } from '../sessions/tracker.js'
import { IdleEnder } from '../upkeep/idle-ender.js'
import { Suspicion } from '../upkeep/suspicion.js'
import { UpstreamRequests } from '../upkeep/upstream-requests.js'
import { UpstreamWatch } from '../upkeep/upstream-watch.js'
import { type Closable, startInOrder } from '../util/startup.js'
import { MAX_DURATION_MS } from '../util/time.js'
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
    const outbox = new Outbox(config.dataDir, Date.now())
    onClose(() => outbox.close())
    const liveCounts = config.maxSessionsPerEndpoint > 0 ? new LiveCounts() : undefined
    const shipper = new Shipper(outbox, store, logger, liveCounts)
    shipper.start()
    onClose(() => shipper.stop())

    const tracker = new SessionTracker({
      idleTimeoutMs: config.sessionIdleTimeoutMs,
      onChange: (endpointId, by) => liveCounts?.change(endpointId, by)
    })
    const operations = new Operations()
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
    const own = new UpstreamRequests({ ...config, routes, callers })
    onClose(() => own.close())
    const observe: Observe = observation => recorder.record(tracker.observe(observation))

    const ender = config.endIdleSessions ? new IdleEnder(session => own.end(session), logger) : undefined
    const keeper = new StoreMaintenance(
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
    onClose(() => keeper.stop())

    let watching: UpstreamWatch | undefined
    if (config.confirmSuspects) {
      const watch: UpstreamWatch = (watching = new UpstreamWatch({
        ...config,
        onReturn: () => void suspicion.upstreamReturned(Date.now()),
        onLoss: lostAt => suspicion.upstreamLost(lostAt)
      }))
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
      onClose(() => {
        watch.stop()
        suspicion.stop()
      })
    }

    const proxy = await startProxy({
      ...config,
      ...config.listen,
      liveSessions: endpointId => liveCounts?.of(storedId(endpointId) ?? '') ?? 0,
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
