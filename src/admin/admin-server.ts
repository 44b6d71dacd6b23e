// Owns the admin port's server: its routes, and what holds for every answer.
import accepts from '@fastify/accepts'
import cors from '@fastify/cors'
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  LogController
} from 'fastify'
import type { Token } from '../config/admin-token.js'
import type { StoreReader } from '../ledger/store-port.js'
import { guardAccess } from './access/guard.js'
import type { Mask } from './access/mask.js'
import { TokenGate } from './access/tokens.js'
import { LiveMonitoring } from './live/socket-io.js'
import { Monitor } from './monitor.js'
import { describeRoutes } from './openapi.js'
import { auditor, type Control } from './operator-port.js'
import { actionRoutes } from './routes/action-routes.js'
import { connectionRoutes } from './routes/connection-routes.js'
import { dashboardRoutes } from './routes/dashboard-routes.js'
import { healthRoutes, type HealthReport } from './routes/health-routes.js'
import { metricsRoutes } from './routes/metrics-routes.js'
import { monitoringRoutes, type MonitoringOptions } from './routes/monitoring-routes.js'
import { sendError, sendNotFound } from './schemas/admin-errors.js'
import { compile } from './schemas/validation.js'
import { Scrape, type Snapshots } from './scrape.js'

export type { HealthReport } from './routes/health-routes.js'

export interface AdminOptions {
  store: StoreReader
  health: () => HealthReport | Promise<HealthReport>
  metrics: Snapshots
  /** One of them must be shown, for all but the probes, the docs and the dashboard's shell. None: everyone may ask, by a loopback name. */
  tokens: readonly Token[]
  /** Origins whose web pages may ask. */
  allowedOrigins: readonly string[]
  mask: Mask
  /** Undefined: no live monitoring. */
  monitoring: (Omit<MonitoringOptions, 'monitor'> & { control: Control }) | undefined
  version: string
  logger: FastifyBaseLogger
  /** Epoch ms. */
  now?: () => number
}

/** The longest id in a path. */
const MAX_ID_LENGTH = 8_192

/** The admin port, not yet listening. */
export function buildAdmin(options: AdminOptions): FastifyInstance {
  const { store, health, mask, allowedOrigins, monitoring, logger, now = Date.now } = options
  const app = Fastify({
    loggerInstance: logger,
    logController: new FailuresOnly(),
    routerOptions: { maxParamLength: MAX_ID_LENGTH },
    // A path that cannot be decoded: no hook runs for it.
    frameworkErrors: (error, request, reply) => sendError(error, request, secured(reply))
  })
  app.setValidatorCompiler(compile)
  app.setErrorHandler(sendError)
  app.setNotFoundHandler(sendNotFound)
  app.addHook('onRequest', (_request, reply, done) => {
    secured(reply)
    done()
  })
  if (allowedOrigins.length > 0) {
    const exposedHeaders = ['link', 'retry-after']
    app.register(cors, { origin: [...allowedOrigins], methods: ['GET', 'PUT', 'DELETE'], exposedHeaders })
  }
  const gate = new TokenGate(options.tokens, now)
  // Behind CORS, whose preflights show no token.
  app.after(() => guardAccess(app, gate, allowedOrigins))
  app.register(accepts)
  describeRoutes(app, options.version)
  app.register(healthRoutes, { health })
  app.register(metricsRoutes, { metrics: new Scrape(store, options.metrics, options.version) })
  app.register(dashboardRoutes, { isOn: monitoring !== undefined })
  app.register(connectionRoutes, { store, mask, now })
  if (monitoring) {
    const { control } = monitoring
    const monitor = new Monitor(store, mask, now)
    app.register(monitoringRoutes, { ...monitoring, monitor })
    app.register(actionRoutes, { store, monitor, control, gate, audit: auditor(logger, mask) })
    const live = new LiveMonitoring(app, { store, monitor, gate, allowedOrigins, logger })
    app.addHook('preClose', done => {
      live.close()
      done()
    })
  }
  return app
}

/** No line a request: their URLs hold ids. */
class FailuresOnly extends LogController {
  override incomingRequest(): void {
    // not logged
  }

  override requestCompleted(): void {
    // not logged
  }
}

/** On every answer, errors included; pages of this port load nothing from elsewhere and are shown in no other page. */
const SECURITY_HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'content-security-policy':
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
}

const secured = (reply: FastifyReply): FastifyReply => reply.headers(SECURITY_HEADERS)
