// Owns the wiring of a whole process: the store, the proxy with its accounting, and the admin port over both.
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { Gateway } from './admin/gateway.js'
import { Mask } from './admin/mask.js'
import type { Control } from './admin/operator.js'
import type { HealthReport } from './admin/routes/health.js'
import { buildAdmin } from './admin/server.js'
import { type Config, version } from './config.js'
import { gatewayUrl } from './control.js'
import { type Closable, startInOrder } from './in-order.js'
import { type LedgerHealth, openStore, startInstance } from './instance.js'
import type { Store } from './ledger/store.js'
import { maskKey } from './mask-key.js'
import { pathOf } from './proxy/routes.js'

/** The ledger keeps up while what is observed is in the store within this time. */
const MAX_DELAY_MS = 10_000

export interface App extends Closable {
  /** Where clients connect. */
  readonly proxyUrl: string
  /** Where operators ask. */
  readonly adminUrl: string
}

/** What the admin port is in front of: a proxy, or several that are one to clients. */
export interface Proxies extends Closable {
  readonly proxyUrl: string
  health(): LedgerHealth | Promise<LedgerHealth>
  readonly control: Control
}

/** Starts everything in this process. Throws when a port, the data directory or the embedded store cannot be used. */
export const startApp = (config: Config, logger: FastifyBaseLogger): Promise<App> =>
  startAround(config, logger, store => startInstance(config, store, logger))

/** Starts a store, proxies and an admin port; `close` ends the proxies first, while operators can still ask. */
export async function startAround(
  config: Config,
  logger: FastifyBaseLogger,
  startProxies: (store: Store) => Promise<Proxies>
): Promise<App> {
  return await startInOrder(async onClose => {
    const store = await openStore(config.store, config.sessionIdleTimeoutMs)
    onClose(() => store.close())
    let closeAdmin = (): Promise<void> => Promise.resolve()
    onClose(() => closeAdmin())
    const proxies = await startProxies(store)
    onClose(() => proxies.close())
    let closing = false
    const admin = await startAdmin(config, store, proxies, () => closing, logger)
    closeAdmin = () => admin.close()
    onClose(async () => {
      closing = true
      await sleep(config.drainDelayMs)
    })
    return { proxyUrl: proxies.proxyUrl, adminUrl: admin.url }
  })
}

async function startAdmin(
  config: Config,
  store: Store,
  proxies: Proxies,
  isClosing: () => boolean,
  logger: FastifyBaseLogger
): Promise<Closable & { url: string }> {
  const health = async (): Promise<HealthReport> => {
    const { ready, ...checks } = await proxies.health()
    const closing = isClosing()
    return { ready: ready && !closing, ...checks, closing }
  }
  const keepsUp = async (): Promise<boolean> => {
    const { ready, outbox } = await proxies.health()
    return ready && (outbox.oldestAt === null || Date.now() - Date.parse(outbox.oldestAt) < MAX_DELAY_MS)
  }
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
          control: proxies.control,
          gateway: new Gateway(config.upstream, endpointId => ({
            streamable: gatewayUrl(config.upstream, config.streamPath, endpointId),
            sse: gatewayUrl(config.upstream, config.ssePath, endpointId)
          })),
          keepsUp,
          historyLimit: config.historyLimit,
          settings: shownSettings(config),
          endpointUrl: endpointId =>
            proxies.proxyUrl +
            (endpointId === undefined ? config.streamPath : pathOf(config.streamPath, endpointId))
        }
      : undefined
  })
  const { host, port } = config.admin
  return { url: await admin.listen({ host, port }), close: () => admin.close() }
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
