// Owns the admin port's server: its routes, and what holds for every response.
import type { RequestListener, Server } from 'node:http'
import accepts from '@fastify/accepts'
import cors from '@fastify/cors'
import Fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  LogController
} from 'fastify'
import type { Token } from '../config/admin-token.js'
import type { StoreReader } from '../ledger/store-port.js'
import type { Metric } from '../metrics/metric.js'
import { type Log, ThrottledLog } from '../util/log.js'
import type { Closable } from '../util/startup.js'
import {
  checkIntervalMs,
  type EpochMs,
  latestNow,
  MINUTE_MS,
  monotonicNow,
  type MonotonicMs
} from '../util/time.js'
import type { TlsFiles } from '../util/tls-front.js'
import { guardAccess } from './access/guard.js'
import type { Mask } from './access/mask.js'
import { TokenGate } from './access/tokens.js'
import { EventReader } from './events/event-reader.js'
import { LiveMonitoring } from './live/socket-io.js'
import { Monitor } from './monitor.js'
import { describeRoutes } from './openapi.js'
import { auditor, type Control } from './operator-port.js'
import { actionRoutes } from './routes/action-routes.js'
import { connectionRoutes } from './routes/connection-routes.js'
import { dashboardRoutes } from './routes/dashboard-routes.js'
import { eventRoutes } from './routes/event-routes.js'
import { healthRoutes } from './routes/health-routes.js'
import { metricsRoutes } from './routes/metrics-routes.js'
import { monitoringRoutes, type MonitoringRoutesOptions } from './routes/monitoring-routes.js'
import { toolUsageRoutes } from './routes/tool-usage-routes.js'
import { upstreamRoutes } from './routes/upstream-routes.js'
import { sendError, sendNotFound } from './schemas/admin-errors.js'
import type { Readiness } from './schemas/readiness.js'
import { compile } from './schemas/validation.js'
import { Scrape, type Snapshots } from './scrape.js'
import { secureServer } from './secure-server.js'

/** What an admin port is built from. */
export interface AdminOptions {
  store: StoreReader
  health: () => Readiness | Promise<Readiness>
  metrics: Snapshots
  /** The metrics that only the process has in which this port is, whichever processes `metrics` reads. */
  hostMetrics?: () => Metric[]
  /** All routes but the probes, the docs and the dashboard's shell need one of these. None: everyone may ask, by a loopback name. */
  tokens: readonly Token[]
  /** Origins whose web pages may ask. */
  allowedOrigins: readonly string[]
  mask: Mask
  /** Undefined: no monitoring interface, no actions and no dashboard (--monitoring is off). */
  monitoring: MonitoringParts | undefined
  version: string
  /** How long events are kept, in milliseconds; 0: for ever. */
  eventRetentionMs: number
  logger: FastifyBaseLogger
  /** For a whole request, its body included, in milliseconds; 0, the default: no limit. */
  headTimeoutMs?: number
  /** Undefined, the default: without TLS. */
  tls?: TlsFiles | undefined
  /** The clock; for tests. */
  now?: () => EpochMs
  /** The clock of lock-outs; the process's own unless given. */
  elapsed?: () => MonotonicMs
}

/** What the monitoring interface, the actions and the dashboard need in addition. */
export interface MonitoringParts extends Omit<MonitoringRoutesOptions, 'monitor' | 'log'> {
  control: Control
}

/** Fastify's own default. */
const KEEP_ALIVE_TIMEOUT_MS = 72_000

/** The longest id in a path; as long as the schemas of parameters allow. */
const MAX_ID_LENGTH = 8_192

/** How many failures of a kind are logged in a minute, so that their `reqId` is found. Chosen: more than people cause. */
const FAILURES_PER_MINUTE = 10

/**
 * Builds the admin port, not yet listening. Of its parts, only the gate gets the tokens; `setTokens` gives it others, and
 * disconnects who watches live with a token that does not count any more. `scrape` has what `/metrics` shows.
 */
export function buildAdmin(
  options: AdminOptions
): FastifyInstance & { setTokens: (tokens: readonly Token[]) => void; scrape: Scrape } {
  const { store, health, metrics, tokens, allowedOrigins, mask, monitoring, version, logger } = options
  const { eventRetentionMs, now = latestNow, hostMetrics = () => [], headTimeoutMs = 0, tls } = options
  const fronts: Closable[] = []
  const http = { headersTimeout: headTimeoutMs, connectionsCheckingInterval: checkIntervalMs(headTimeoutMs) }
  const withTls = (handler: RequestListener, files: TlsFiles): Server => {
    const limits = { http, requestTimeoutMs: headTimeoutMs, keepAliveTimeoutMs: KEEP_ALIVE_TIMEOUT_MS }
    const { server, front } = secureServer(handler, limits, files, logger)
    fronts.push(front)
    return server
  }
  const log = new ThrottledLog(logger, FAILURES_PER_MINUTE, MINUTE_MS)
  const app = Fastify({
    loggerInstance: logger,
    logController: new FailuresOnly(log),
    requestTimeout: headTimeoutMs,
    http,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    routerOptions: { maxParamLength: MAX_ID_LENGTH },
    ...(tls && { serverFactory: (handler: RequestListener) => withTls(handler, tls) }),
    // A path that cannot be decoded: no hook runs for it.
    frameworkErrors: (error, request, reply) => sendError(error, request, secured(reply), log)
  })
  app.addHook('preClose', async () => {
    await Promise.all(fronts.map(front => front.close()))
  })
  app.setValidatorCompiler(compile)
  app.setErrorHandler((error: FastifyError, request, reply) => sendError(error, request, reply, log))
  app.setNotFoundHandler(sendNotFound)
  app.addHook('onRequest', (_request, reply, done) => {
    secured(reply)
    done()
  })
  if (allowedOrigins.length > 0) {
    const exposedHeaders = ['link', 'retry-after']
    app.register(cors, { origin: [...allowedOrigins], methods: ['GET', 'PUT', 'DELETE'], exposedHeaders })
  }
  const gate = new TokenGate(tokens, options.elapsed ?? monotonicNow)
  let live: LiveMonitoring | undefined
  const setTokens = (others: readonly Token[]): void => {
    gate.tokens = others
    live?.checkTokens()
  }
  // Behind CORS, whose preflights show no token.
  app.after(() => guardAccess(app, gate, allowedOrigins))
  app.register(accepts)
  describeRoutes(app, version)
  app.register(healthRoutes, { health })
  const scrape = new Scrape(store, metrics, version, hostMetrics)
  app.register(metricsRoutes, { metrics: scrape })
  app.register(dashboardRoutes, { isOn: monitoring !== undefined })
  app.register(connectionRoutes, { store, mask, now })
  app.register(eventRoutes, { reader: new EventReader(store, eventRetentionMs, logger), mask })
  if (monitoring) {
    const { control, ...shown } = monitoring
    const monitor = new Monitor(store, mask, now)
    app.register(monitoringRoutes, { ...shown, monitor, log })
    app.register(toolUsageRoutes, { store, now })
    app.register(upstreamRoutes, { store, control, audit: auditor(logger, mask) })
    app.register(actionRoutes, { store, monitor, control, gate, audit: auditor(logger, mask) })
    live = new LiveMonitoring(app, { store, monitor, gate, allowedOrigins, logger })
    app.addHook('preClose', done => {
      live?.close()
      done()
    })
  }
  return Object.assign(app, { setTokens, scrape })
}

/** Logs failures only: the URLs of requests hold session ids. */
class FailuresOnly extends LogController {
  readonly #log: Log

  constructor(log: Log) {
    super()
    this.#log = log
  }

  override incomingRequest(): void {
    // not logged
  }

  override requestCompleted(): void {
    // not logged
  }

  override streamError(error: Error & { code?: string }): void {
    // This one says that a client left.
    if (error.code !== 'ERR_STREAM_PREMATURE_CLOSE') this.#log.warn({ err: error }, 'a response broke off')
  }
}

/** On every response, errors included; pages of this port load nothing from elsewhere and are shown in no other page. */
const SECURITY_HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'content-security-policy':
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
}

const secured = (reply: FastifyReply): FastifyReply => reply.headers(SECURITY_HEADERS)
