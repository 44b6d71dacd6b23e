// Owns the thread of the admin port: the server over a store of its own, and over the proxies beyond the thread's port.
import { constants, setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { pino } from 'pino'
import { Mask } from '../admin/access/mask.js'
import { buildAdmin } from '../admin/admin-server.js'
import { GatewayClient } from '../admin/gateway/gateway-client.js'
import type { Control } from '../admin/operator-port.js'
import { ActionError } from '../admin/schemas/admin-errors.js'
import { type Config, version } from '../config/settings.js'
import { hasDotSegment, pathOf } from '../mcp/routes.js'
import { reasonOf } from '../util/errors.js'
import { startInOrder } from '../util/startup.js'
import type { AdminPortData } from './admin-thread-protocol.js'
import { maskKey } from './mask-key.js'
import { storeAt } from './open-store.js'
import { type Answer, Calls, type Start } from './rpc.js'

/** The ledger keeps up while what is observed is in the store within this time. */
const MAX_DELAY_MS = 10_000

// Where CPUs are scarce proxied requests go first. On Linux this is of the calling thread and those that it starts.
if (process.platform === 'linux') setPriority(constants.priority.PRIORITY_BELOW_NORMAL)

const port = parentPort!
const { config: cloned, proxyUrl } = workerData as AdminPortData
const config: Config = { ...cloned, upstream: new URL(cloned.upstream) }
const proxies = new Calls(call => port.postMessage(call))
const started = startInOrder(async onClose => {
  const store = storeAt(config.store, config.sessionIdleTimeoutMs)
  onClose(() => store.close())
  const admin = buildAdmin({
    store,
    tokens: [...(config.adminToken ?? []), ...(config.adminTokenFile ?? [])],
    allowedOrigins: config.adminAllowOrigin ?? [],
    mask: new Mask(maskKey(config.dataDir), config.mask),
    logger: pino({ level: config.logLevel }),
    version: version(),
    health: () => proxies.call('health'),
    metrics: () => proxies.call('metrics'),
    monitoring: config.monitoring ? monitoring() : undefined
  })
  onClose(() => admin.close())
  const { host, port } = config.admin
  return { url: await admin.listen({ host, port }) }
})

port.on('message', (message: 'close' | Answer) => {
  if (message !== 'close') proxies.settle(message)
  else void started.then(admin => admin.close()).finally(() => process.exit())
})
const say = (start: Start): void => port.postMessage(start)
started.then(
  ({ url }) => say({ started: url }),
  (error: unknown) => say({ failed: reasonOf(error) })
)

function monitoring() {
  const { upstream, streamPath, ssePath, historyLimit } = config
  return {
    control: {
      end: session => proxies.call('end', session),
      settled: () => proxies.call('settled'),
      drain: (endpointId, on) => proxies.call('drain', endpointId, on),
      draining: () => proxies.call('draining')
    } satisfies Control,
    gateway: new GatewayClient(upstream, endpointId => ({
      streamable: gatewayUrl(upstream, streamPath, endpointId),
      sse: gatewayUrl(upstream, ssePath, endpointId)
    })),
    keepsUp: async () => {
      const { ready, outbox } = await proxies.call('health')
      return ready && (outbox.oldestAt === null || Date.now() - Date.parse(outbox.oldestAt) < MAX_DELAY_MS)
    },
    historyLimit,
    settings: shownSettings(),
    endpointUrl: (endpointId?: string) =>
      proxyUrl + (endpointId === undefined ? streamPath : pathOf(streamPath, endpointId))
  }
}

/** An endpoint of the gateway, behind the base path of its URL. Throws `ActionError` where no URL leads to it. */
function gatewayUrl(upstream: URL, pattern: string, endpointId: string): URL {
  const path = pathOf(pattern, endpointId)
  if (hasDotSegment(path))
    throw new ActionError('NOT_POSSIBLE', `no URL leads to an endpoint with the id "${endpointId}"`)
  return new URL(upstream.pathname.replace(/\/$/, '') + path, upstream)
}

/** For operators: how sessions are counted and kept; nothing secret. */
function shownSettings(): Record<string, unknown> {
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
