// Owns who may ask: the bearer token of the admin port.
import { createHash, timingSafeEqual } from 'node:crypto'
import type { onRequestHookHandler } from 'fastify'
import { UnauthorizedError } from './errors.js'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answered without a token. */
    public?: true
  }
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/** Refuses what comes without the token, unknown routes included. Compares in a time that tells nothing of it. */
export function requireToken(token: string): onRequestHookHandler {
  const expected = digest(token)
  return (request, reply, done) => {
    const given = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? ''
    if (request.routeOptions.config.public || timingSafeEqual(digest(given), expected)) return done()
    reply.header('www-authenticate', 'Bearer')
    done(new UnauthorizedError())
  }
}
