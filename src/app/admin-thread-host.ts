// Owns the admin thread as the process sees it: starts it, starts it again if it dies, and ends it.
//
// Queries of operators, JSON of thousands of rows and pushes to everyone who watches would hold up proxied requests. So
// another thread does that work, with a heap and connections to the store of its own.
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { FastifyBaseLogger } from 'fastify'
import type { Token } from '../config/admin-token.js'
import type { Config } from '../config/settings.js'
import { onlyUpstream, shownUpstreams } from '../config/upstream-list.js'
import type { DroppedLines } from '../util/log-lines.js'
import { connect, portChannel, type Remote } from '../util/rpc.js'
import type { Closable } from '../util/startup.js'
import { threadFile } from '../util/threads.js'
import type { AdminThreadData, AdminThreadMethods } from './admin-thread-protocol.js'
import { CALL_TIMEOUT_MS, type InstanceMethods, startReport } from './instance-methods.js'
import { storesOf } from './instance-settings.js'

/** Chosen: a thread that dies at each start must not keep a CPU busy, and operators wait for it. */
const RESTART_DELAY_MS = 1_000
/** The `threadId` of a thread that has ended (Node). */
const ENDED = -1

/** The admin port, in its thread. */
export interface AdminThread extends Closable {
  /** Where operators ask. */
  readonly url: string
  /** Other tokens count from now on. */
  setTokens(tokens: readonly Token[]): Promise<void>
  /** Has the metrics read for the last time, where they are exported. */
  finishMetrics(): Promise<void>
}

/**
 * Starts the admin port; `methods` is what it asks of the proxy. Resolves with the URL at which it listens; throws
 * `StartError` when it cannot listen.
 */
export async function startAdminThread(
  data: AdminThreadData,
  methods: InstanceMethods,
  logger: FastifyBaseLogger
): Promise<AdminThread> {
  let closing = false
  let thread: Worker
  let remote: Remote<AdminThreadMethods>
  let { tokens } = data

  const start = async (port: number): Promise<string> => {
    const workerData: AdminThreadData = { ...data, tokens, listen: { host: data.listen.host, port } }
    thread = new Worker(threadFile('./admin-thread.js', import.meta.url), { workerData, execArgv: [] })
    const { report, url } = startReport()
    remote = connect(portChannel(thread), { ...methods, ...report }, { timeoutMs: CALL_TIMEOUT_MS })
    thread.once('error', error => report.failed(error.message))
    const listening = await url
    thread.once('error', error => restart(Number(new URL(listening).port), error))
    return listening
  }

  const restart = (port: number, error: unknown): void => {
    if (closing) return
    logger.error(error, 'the admin port died and is started again')
    setTimeout(() => {
      if (closing) return
      start(port).catch((failure: unknown) => restart(port, failure))
    }, RESTART_DELAY_MS)
  }

  return {
    url: await start(data.listen.port),
    async setTokens(others) {
      tokens = others
      if (thread.threadId !== ENDED) await remote.setTokens(others)
    },
    async finishMetrics() {
      if (data.otlp?.metrics === undefined || thread.threadId === ENDED) return
      await remote.finishMetrics().catch(() => undefined)
    },
    async close() {
      closing = true
      if (thread.threadId === ENDED) return
      const exited = once(thread, 'exit')
      await remote.shutDown.asEvent()
      await exited
    }
  }
}

/** All tokens of the admin port. */
export const tokensOf = ({ adminToken = [], adminTokenFile = [] }: Config): Token[] => [
  ...adminToken,
  ...adminTokenFile
]

/** What the admin thread needs of the settings. */
export function adminThreadData(
  config: Config,
  proxyUrl: string,
  droppedLines: DroppedLines
): AdminThreadData {
  return {
    listen: config.admin,
    tls: config.adminTls,
    store: config.store,
    headTimeoutMs: config.headTimeoutMs,
    stores: storesOf(config),
    sessionIdleTimeoutMs: config.sessionIdleTimeoutMs,
    eventRetentionMs: config.eventRetentionMs,
    webhook:
      config.webhook === undefined ? undefined : { url: config.webhook, secret: config.webhookSecretFile! },
    tokens: tokensOf(config),
    allowedOrigins: config.adminAllowOrigin ?? [],
    dataDir: config.dataDir,
    mask: config.mask,
    logLevel: config.logLevel,
    otlp: config.otlp,
    drainTimeoutMs: config.drainTimeoutMs,
    droppedLines: droppedLines.buffer,
    monitoring: config.monitoring
      ? {
          proxyUrl,
          upstream: onlyUpstream(config)?.url.href,
          paths: { stream: config.streamPath, sse: config.ssePath, message: config.messagePath },
          historyLimit: config.historyLimit,
          shownSettings: shownSettings(config)
        }
      : undefined
  }
}

/** What operators see of the settings: how sessions are counted and kept. Nothing secret. */
const shownSettings = (config: Config): Record<string, unknown> => ({
  upstream: shownUpstreams(config),
  store: config.store.kind,
  streamPath: config.streamPath,
  ssePath: config.ssePath,
  messagePath: config.messagePath,
  rewriteHost: config.rewriteHost,
  mask: config.mask,
  historyLimit: config.historyLimit,
  logLevel: config.logLevel,
  sessionIdleTimeoutMs: config.sessionIdleTimeoutMs,
  leaseMs: config.leaseMs,
  retentionMs: config.retentionMs,
  rollupRetentionMs: config.rollupRetentionMs,
  eventRetentionMs: config.eventRetentionMs
})
