// Owns the admin port's server: its routes, and what holds for every answer.
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  LogController
} from 'fastify'
import type { StoreReader } from '../ledger/store.js'
import { requireToken } from './auth.js'
import { sendError, sendNotFound } from './errors.js'
import { connectionRoutes } from './routes/connections.js'
import { healthRoutes, type HealthReport } from './routes/health.js'
import { compileQuery } from './validation.js'

export type { HealthReport } from './routes/health.js'

export interface AdminOptions {
  store: StoreReader
  health: () => HealthReport | Promise<HealthReport>
  /** What a bearer must show, for all but the probes. Undefined: everyone may ask. */
  adminToken: string | undefined
  logger: FastifyBaseLogger
  /** Epoch ms. */
  now?: () => number
}

/** The admin port, not yet listening. */
export function buildAdmin({
  store,
  health,
  adminToken,
  logger,
  now = Date.now
}: AdminOptions): FastifyInstance {
  const app = Fastify({
    loggerInstance: logger,
    logController: new FailuresOnly(),
    // A path that cannot be decoded: no hook runs for it.
    frameworkErrors: (error, request, reply) => sendError(error, request, secured(reply))
  })
  app.setValidatorCompiler(compileQuery)
  app.setErrorHandler(sendError)
  app.setNotFoundHandler(sendNotFound)
  app.addHook('onRequest', (_request, reply, done) => {
    secured(reply)
    done()
  })
  if (adminToken !== undefined) app.addHook('onRequest', requireToken(adminToken))
  app.register(healthRoutes, { health })
  app.register(connectionRoutes, { store, now })
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

const secured = (reply: FastifyReply): FastifyReply =>
  reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
