// Owns what every request must pass before its route: the check of its origin, and of the token it shows.
import type { FastifyInstance } from 'fastify'
import type { Scope } from '../../config/admin-token.js'
import { ForbiddenError } from '../schemas/admin-errors.js'
import { foreignness } from './origins.js'
import { bearerToken, type TokenGate } from './tokens.js'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Served without a token. */
    public?: boolean
    /** What a token must allow; `read` where it is left out. */
    scope?: Scope
  }
  interface FastifyRequest {
    /** Who asks, for the log; undefined on public routes. */
    operator: string | undefined
  }
}

/** Adds the checks to all routes of `app`, unknown ones included. */
export function guardAccess(app: FastifyInstance, gate: TokenGate, allowedOrigins: readonly string[]): void {
  app.decorateRequest('operator', undefined)
  app.addHook('onRequest', (request, _reply, done) => {
    const { public: isPublic = false, scope = 'read' } = request.routeOptions.config
    const rules = { allowed: allowedOrigins, onlyLoopback: gate.isOpen, isPublic }
    const reason = foreignness(request.headers, rules)
    if (reason !== undefined) return done(new ForbiddenError(reason))
    if (!isPublic) {
      try {
        request.operator = gate.admit(bearerToken(request.headers.authorization), scope, request.ip)
      } catch (error) {
        return done(error as Error)
      }
    }
    done()
  })
}
