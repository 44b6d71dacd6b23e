// Owns how the admin port says no: one form for every error, `{statusCode, error, message}`.
import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'

/** A query that cannot be answered. The message names the parameter and says what to change. */
export class BadQueryError extends Error {
  override readonly name = 'BadQueryError'
  readonly code = 'BAD_QUERY'
  readonly statusCode = 400
}

/** No bearer token, or a wrong one. */
export class UnauthorizedError extends Error {
  override readonly name = 'UnauthorizedError'
  readonly code = 'UNAUTHORIZED'
  readonly statusCode = 401

  constructor() {
    super('the admin token is missing or wrong: send it as "Authorization: Bearer TOKEN"')
  }
}

/** Answers with an error's own status and message when it is the caller's, else with 500 and no word of the cause. */
export function sendError(
  error: FastifyError | BadQueryError | UnauthorizedError,
  request: FastifyRequest,
  reply: FastifyReply
): void {
  const statusCode = error.statusCode ?? 500
  if (statusCode >= 400 && statusCode < 500) return send(reply, statusCode, error.message)
  request.log.error({ err: error, route: request.routeOptions.url }, 'admin query failed')
  send(reply, 500, `the query failed: the cause is in the log, as reqId ${request.id}`)
}

export function sendNotFound(request: FastifyRequest, reply: FastifyReply): void {
  send(reply, 404, `nothing here answers ${request.method} ${request.url.split('?', 1).join()}`)
}

function send(reply: FastifyReply, statusCode: number, message: string): void {
  void reply.code(statusCode).send({ statusCode, error: STATUS_CODES[statusCode], message })
}
