// Owns one proxy instance: the proxy and its accounting. What is observed goes into the outbox, the outbox into the store.
import type { FastifyBaseLogger } from 'fastify'
import type { Config } from '../config/settings.js'
import { Routes } from '../mcp/routes.js'
import { storedEndpointId } from '../mcp/stored-ids.js'
import { Operations } from '../metrics/operations.js'
import { Traffic } from '../metrics/traffic.js'
import { text } from '../proxy/http/headers.js'
import type { RoutedRequest } from '../proxy/http/routed-request.js'
import { startProxy } from '../proxy/proxy-server.js'
import type { RequestCredentials } from '../sessions/client-credentials.js'
import { type Closable, startInOrder } from '../util/startup.js'
import { monotonicNow, type MonotonicMs } from '../util/time.js'
import type { WorkerMethods } from './instance-methods.js'
import {
  ledgerSettings,
  principalLimitSettings,
  proxyOptions,
  sessionSettings,
  upkeepSettings,
  upstreamsSettings
} from './instance-settings.js'
import { ledgerHealth } from './ledger-health.js'
import { operatorControl } from './operator-control.js'
import { instanceMetrics } from './proxy-instance-metrics.js'
import type { RequestSinks } from './request-sinks.js'
import { sessionEnder } from './session-ender.js'
import { startLedger } from './start-ledger.js'
import { principalCounts, startEvictions } from './start-principal-limit.js'
import { startSessions } from './start-sessions.js'
import { startUpkeep } from './start-upkeep.js'
import { startUpstreams } from './start-upstreams.js'
import { startUpstreamReports } from './upstream-reports.js'

/** A proxy that accounts what passes, and what can be asked of it. */
export interface ProxyInstance extends Closable, WorkerMethods {
  /** Where clients connect. */
  readonly proxyUrl: string
}

/** Throws when the port, the data directory or the embedded store cannot be used. */
export const startProxyInstance = (
  config: Config,
  logger: FastifyBaseLogger,
  sinks: RequestSinks
): Promise<ProxyInstance> =>
  startInOrder(async onClose => {
    let drainEnds: MonotonicMs = 0
    onClose(() => sinks.close(drainEnds - monotonicNow()))
    const upstreams = await startUpstreams(upstreamsSettings(config), logger, onClose)
    const isBalanced = (): boolean => upstreams.only === undefined
    const ledger = await startLedger(ledgerSettings(config), isBalanced, logger)
    onClose(() => ledger.close())
    upstreams.openSessions = upstream => ledger.upstreamCounts.of(upstream)
    const sessions = startSessions(sessionSettings(config), ledger, logger)
    onClose(() => sessions.close())
    const routes = new Routes({
      stream: config.streamPath,
      sse: config.ssePath,
      message: config.messagePath
    })
    const upkeep = await startUpkeep(upkeepSettings(config), {
      routes,
      upstreams,
      ledger,
      sessions,
      logger
    })
    onClose(() => upkeep.close())
    const { store, outbox } = ledger
    const reports = await startUpstreamReports({ store, instance: outbox.instance, upstreams })
    onClose(() => reports.close())
    const operations = new Operations()
    const traffic = new Traffic()
    const proxy = await startProxy(
      proxyOptions(config, {
        routes,
        credentials: sessions.credentials,
        observe: sessions.observe,
        liveSessions: endpointId => ledger.liveCounts?.of(storedEndpointId(endpointId) ?? '') ?? 0,
        principalCounts: principalCounts(ledger, sessions.tracker),
        upstreams,
        upstreamOf: upkeep.upstreamOf,
        locate: (session, request, isBeginning) =>
          upkeep.locator.locate(
            session,
            { ...credentialsIn(request), sessionId: session.sessionId },
            isBeginning
          ),
        locateTask: (task, request) => upkeep.locator.locateTask(task, credentialsIn(request)),
        operations,
        traffic,
        writeAccess: sinks.write,
        isTraced: sinks.isTraced,
        logger
      })
    )
    onClose(() => {
      drainEnds = monotonicNow() + config.drainTimeoutMs
      return proxy.close(config.drainTimeoutMs)
    })
    sessions.onPresence((...ask) => proxy.notePresence(...ask))
    const end = sessionEnder({ proxy, sessions, requests: upkeep.requests })
    const evictions = startEvictions(principalLimitSettings(config), {
      ...{ ledger, maintenance: upkeep.maintenance, sessions, proxy, end, log: logger }
    })
    onClose(() => evictions?.close())
    return {
      proxyUrl: proxy.url,
      health: () => ledgerHealth({ ...ledger, maintenance: upkeep.maintenance }),
      uncounted: () => proxy.uncounted(),
      metrics: instanceMetrics({
        upstreams,
        proxy,
        operations,
        traffic,
        ledger,
        tracker: sessions.tracker,
        upkeep,
        evictions
      }),
      ...operatorControl({ proxy, ledger, requests: upkeep.requests, end, reports })
    }
  })

/** A request's credentials, for asking a gateway as its client would. */
const credentialsIn = ({ req, target, identity }: RoutedRequest): RequestCredentials => ({
  target: target.path,
  host: req.headers.host,
  protocolVersion: text(req.headers['mcp-protocol-version']),
  authorization: req.headers.authorization,
  identity
})
