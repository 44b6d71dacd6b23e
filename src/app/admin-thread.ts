// Owns the thread of the admin port: its server, a store of its own, and its calls to the proxy on the other side of the
// thread's port.
import { constants, setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { Mask } from '../admin/access/mask.js'
import { type AdminOptions, buildAdmin } from '../admin/admin-server.js'
import { GatewayClient } from '../admin/gateway/gateway-client.js'
import type { EndpointUrls } from '../admin/gateway/tool-list.js'
import { ActionError } from '../admin/schemas/admin-errors.js'
import { startWebhookDelivery } from '../admin/webhooks/webhook-delivery.js'
import type { OtlpSettings } from '../config/otlp-variables.js'
import { version } from '../config/version.js'
import type { StoreReader } from '../ledger/store-port.js'
import { Routes } from '../mcp/routes.js'
import type { WireId } from '../mcp/stored-ids.js'
import type { Metric } from '../metrics/metric.js'
import type { PushedMetrics } from '../telemetry/start-metrics.js'
import { reasonOf } from '../util/errors.js'
import { DroppedLines } from '../util/log-lines.js'
import { connect, portChannel, RemoteError } from '../util/rpc.js'
import { startInOrder } from '../util/startup.js'
import { latestNow } from '../util/time.js'
import type { AdminThreadData, AdminThreadMethods, MonitoringData } from './admin-thread-protocol.js'
import { CALL_TIMEOUT_MS, type InstanceMethods, type StartReport } from './instance-methods.js'
import { maskKey } from './mask-key.js'
import { openStore } from './open-store.js'
import { droppedLinesMetric, startProcessLog } from './process-log.js'

/** `/api/mcp/health` is healthy only if what was observed is in the store within this time. Chosen: well above a retry. */
const MAX_DELAY_MS = 10_000

/** All codes of `ActionError`; the compiler finds a missing one. */
const actionCodes: Record<ActionError['code'], true> = {
  GATEWAY_REFUSED: true,
  NOT_HERE: true,
  NOT_POSSIBLE: true
}

// Where CPUs are scarce, proxied requests go first. On Linux this is for the calling thread and those that it starts.
if (process.platform === 'linux') {
  try {
    setPriority(constants.priority.PRIORITY_BELOW_NORMAL)
  } catch {
    // The process has less already (nice), and may not take more.
  }
}

const data = workerData as AdminThreadData
const { logger, dropped } = startProcessLog(data.logLevel, new DroppedLines(data.droppedLines))
const methods: AdminThreadMethods = {
  setTokens: async tokens => (await started).setTokens(tokens),
  finishMetrics: async () => (await started).pushed?.finish(),
  shutDown: () => void started.then(admin => admin.close()).finally(() => process.exit())
}
const proxies = connect<InstanceMethods & StartReport>(portChannel(parentPort!), methods, {
  timeoutMs: CALL_TIMEOUT_MS
})
const started = startInOrder(async onClose => {
  const store = openStore(
    data.store,
    { idleTimeoutMs: data.sessionIdleTimeoutMs },
    { pools: data.stores, log: logger }
  )
  onClose(() => store.close())
  const mask = new Mask(maskKey(data.dataDir), data.mask)
  const delivery =
    data.webhook &&
    startWebhookDelivery({ target: data.webhook, store, keptMs: data.eventRetentionMs, mask, log: logger })
  onClose(() => delivery?.close())
  const admin = buildAdmin({
    store,
    tokens: data.tokens,
    allowedOrigins: data.allowedOrigins,
    mask,
    logger,
    headTimeoutMs: data.headTimeoutMs,
    tls: data.tls,
    version: version(),
    health: () => proxies.health(),
    metrics: () => proxies.metrics(),
    hostMetrics: () => [droppedLinesMetric(dropped), ...(delivery?.metrics() ?? [])],
    eventRetentionMs: data.eventRetentionMs,
    monitoring: data.monitoring && monitoringOptions(data.monitoring, store)
  })
  onClose(() => admin.close())
  const shown = (at: string): string => (data.tls === undefined ? at : at.replace(/^http:/, 'https:'))
  const url = await admin.listen({
    ...data.listen,
    listenTextResolver: at => `Admin port listening at ${shown(at)}`
  })
  const pushed = data.otlp && (await startPush(data.otlp, () => admin.scrape.metrics()))
  onClose(() => pushed?.close())
  return {
    url: shown(url),
    setTokens: admin.setTokens,
    pushed
  }
})
started.then(
  ({ url }) => proxies.started.asEvent(url),
  (error: unknown) => proxies.failed.asEvent(reasonOf(error))
)

/** OpenTelemetry is loaded only where metrics are exported. */
async function startPush(
  { metrics: protocol, ...otlp }: OtlpSettings,
  read: () => Promise<Metric[]>
): Promise<PushedMetrics | undefined> {
  if (protocol === undefined) return undefined
  const { startMetrics } = await import('../telemetry/start-metrics.js')
  const { drainTimeoutMs } = data
  return startMetrics({ ...otlp, protocol, drainTimeoutMs, version: version(), read, log: logger })
}

function monitoringOptions(
  options: MonitoringData,
  store: Pick<StoreReader, 'upstreams'>
): AdminOptions['monitoring'] {
  const { proxyUrl } = options
  const routes = new Routes(options.paths)
  const { upstream } = options
  return {
    control: {
      end: session => proxies.end(session).catch(rethrowAsActionError),
      settled: () => proxies.settled(),
      deleteEndpoint: endpointId => proxies.deleteEndpoint(endpointId),
      drain: (endpointId, on) => proxies.drain(endpointId, on),
      draining: () => proxies.draining(),
      drainUpstream: (name, on) => proxies.drainUpstream(name, on),
      erasePrincipal: principal => proxies.erasePrincipal(principal),
      reportUpstreams: () => proxies.reportUpstreams()
    },
    gateway: new GatewayClient(
      () => (upstream === undefined ? gatewaysIn(store) : Promise.resolve([new URL(upstream)])),
      (gateway, endpointId) => upstreamUrls(gateway, routes, endpointId)
    ),
    keepsUp: async () => {
      const { ready, outbox } = await proxies.health()
      return ready && (outbox.oldestAt === null || latestNow() - Date.parse(outbox.oldestAt) < MAX_DELAY_MS)
    },
    uncounted: () => proxies.uncounted(),
    historyLimit: options.historyLimit,
    settings: options.shownSettings,
    endpointUrl: (endpointId?: string) =>
      proxyUrl +
      ((endpointId === undefined ? undefined : routes.streamPaths(endpointId)[0]) ?? routes.streamPattern)
  }
}

/** The gateways that the settings of a proxy name, those that take connections first. */
async function gatewaysIn(store: Pick<StoreReader, 'upstreams'>): Promise<URL[]> {
  const listed = (await store.upstreams()).filter(({ isListed, url }) => isListed && url !== '')
  return listed.sort((a, b) => (a.failingSince ?? 0) - (b.failingSince ?? 0)).map(({ url }) => new URL(url))
}

/** An `ActionError` that the proxy threw comes here as a `RemoteError` with its code. */
function rethrowAsActionError(error: unknown): never {
  if (error instanceof RemoteError && Object.hasOwn(actionCodes, error.code))
    throw new ActionError(error.code as ActionError['code'], error.message)
  throw error
}

/** Where the upstream serves an endpoint, behind the base path of its URL. Throws `ActionError` where no URL leads to it. */
function upstreamUrls(upstream: URL, routes: Routes, endpointId: WireId): EndpointUrls {
  const urlOf = (path: string): URL => new URL(upstream.pathname.replace(/\/$/, '') + path, upstream)
  const urls = {
    streamable: routes.streamPaths(endpointId).map(urlOf),
    sse: routes.ssePaths(endpointId).map(urlOf)
  }
  if (urls.streamable.length + urls.sse.length === 0)
    throw new ActionError('NOT_POSSIBLE', `no URL leads to an endpoint with the id "${endpointId}"`)
  return urls
}
