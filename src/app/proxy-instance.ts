// Owns one proxy instance: the proxy and its accounting. What is observed goes into the outbox, the outbox into the store.
import type { FastifyBaseLogger } from 'fastify'
import type { Config } from '../config/settings.js'
import { Routes } from '../mcp/routes.js'
import { Operations } from '../metrics/operations.js'
import { Traffic } from '../metrics/traffic.js'
import { startProxy } from '../proxy/proxy-server.js'
import { type Closable, startInOrder } from '../util/startup.js'
import type { WorkerMethods } from './instance-methods.js'
import { ledgerSettings, proxyOptions, sessionSettings, upkeepSettings } from './instance-settings.js'
import { ledgerHealth } from './ledger-health.js'
import { operatorControl } from './operator-control.js'
import { instanceMetrics } from './proxy-instance-metrics.js'
import { startLedger } from './start-ledger.js'
import { startSessions } from './start-sessions.js'
import { startUpkeep } from './start-upkeep.js'

/** A proxy that accounts what passes, and what can be asked of it. */
export interface ProxyInstance extends Closable, WorkerMethods {
  /** Where clients connect. */
  readonly proxyUrl: string
}

/** Throws when the port, the data directory or the embedded store cannot be used. */
export const startProxyInstance = (config: Config, logger: FastifyBaseLogger): Promise<ProxyInstance> =>
  startInOrder(async onClose => {
    const ledger = await startLedger(ledgerSettings(config), logger)
    onClose(() => ledger.close())
    const sessions = startSessions(sessionSettings(config), ledger)
    onClose(() => sessions.close())
    const routes = new Routes({
      stream: config.streamPath,
      sse: config.ssePath,
      message: config.messagePath
    })
    const upkeep = await startUpkeep(upkeepSettings(config), { routes, ledger, sessions, logger })
    onClose(() => upkeep.close())
    const operations = new Operations()
    const traffic = new Traffic()
    const proxy = await startProxy(
      proxyOptions(config, {
        routes,
        credentials: sessions.credentials,
        observe: sessions.observe,
        liveSessions: endpointId => ledger.liveCounts?.of(endpointId) ?? 0,
        serialUpstream: upkeep.serialUpstream,
        operations,
        traffic,
        logger
      })
    )
    onClose(() => proxy.close(config.drainTimeoutMs))
    sessions.onPresence((...ask) => proxy.notePresence(...ask))
    return {
      proxyUrl: proxy.url,
      health: () => ledgerHealth(ledger),
      metrics: instanceMetrics({ proxy, operations, traffic, ledger, tracker: sessions.tracker, upkeep }),
      ...operatorControl({ proxy, ledger, requests: upkeep.requests })
    }
  })
