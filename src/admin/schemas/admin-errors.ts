// Owns the errors of the admin port: one form for all of them, `{statusCode, error, message}`.
import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { TurnstileError } from '../../util/errors.js'
import type { Log } from '../../util/log.js'
import { JSON_TYPE } from './media-types.js'

/** A refusal or failure that the caller gets to know. The message says what to do. */
export abstract class AdminError extends TurnstileError {
  /** Of the HTTP response. */
  abstract readonly statusCode: number
  /** Header fields of the response. */
  readonly headers: Record<string, string> = {}
}

/** An invalid query. The message names the parameter and says what to change. */
export class BadQueryError extends AdminError {
  readonly code = 'BAD_QUERY'
  readonly statusCode = 400
}

/** No bearer token, or a wrong one. */
export class UnauthorizedError extends AdminError {
  readonly code = 'UNAUTHORIZED'
  readonly statusCode = 401
  override readonly headers = { 'www-authenticate': 'Bearer' }

  constructor() {
    super('the admin token is missing or wrong: send it as "Authorization: Bearer TOKEN"')
  }
}

/** The token does not allow this, or requests from this origin or to this `Host` are not allowed. */
export class ForbiddenError extends AdminError {
  readonly code = 'FORBIDDEN'
  readonly statusCode = 403

  constructor(
    message = 'this token may only read, or only metrics: use one without the prefix read: or metrics:'
  ) {
    super(message)
  }
}

/** What is asked for is switched off. */
export class NotServedError extends AdminError {
  readonly code = 'NOT_SERVED'
  readonly statusCode = 404
}

/** The store has no such endpoint. */
export class UnknownEndpointError extends AdminError {
  readonly code = 'UNKNOWN_ENDPOINT'
  readonly statusCode = 404

  constructor() {
    super('the store has no endpoint with this id')
  }
}

/** Too many wrong tokens from one peer: the response says when to try again. */
export class TooManyTriesError extends AdminError {
  readonly code = 'TOO_MANY_TRIES'
  readonly statusCode = 429
  override readonly headers: Record<string, string>

  constructor(retryAfterMs: number) {
    const seconds = Math.ceil(retryAfterMs / 1_000)
    super(`too many wrong tokens: try again in ${seconds} s`)
    this.headers = { 'retry-after': String(seconds) }
  }
}

/** Too much is asked for at once: the response says when to try again. */
export class BusyError extends AdminError {
  readonly code = 'BUSY'
  readonly statusCode = 503
  override readonly headers: Record<string, string>

  /** `what`: the beginning of the message. */
  constructor(what: string, retryAfterMs: number) {
    const seconds = Math.ceil(retryAfterMs / 1_000)
    super(`${what}: try again in ${seconds} s`)
    this.headers = { 'retry-after': String(seconds) }
  }
}

/** Events after a cursor are deleted, or the cursor is of another store. */
export class ExpiredCursorError extends AdminError {
  readonly code = 'EXPIRED_CURSOR'
  readonly statusCode = 410

  constructor() {
    super(
      'events after this cursor are not kept any more (--event-retention): read the open sessions again, and go on with after=now or without after'
    )
  }
}

/** What an operator asked for could not be done: a 502 where the gateway refused, else a 409. */
export class ActionError extends AdminError {
  constructor(
    readonly code: 'GATEWAY_REFUSED' | 'NOT_HERE' | 'NOT_POSSIBLE',
    message: string
  ) {
    super(message)
  }

  get statusCode(): number {
    return this.code === 'GATEWAY_REFUSED' ? 502 : 409
  }
}

/** The gateway did not give what the admin port asked it for. */
export class GatewayError extends AdminError {
  readonly code = 'GATEWAY_FAILED'
  readonly statusCode = 502
}

/** Responds with the error's status and message if it is meant for the caller, and otherwise with 500 and no word of the cause. */
export function sendError(
  error: FastifyError | AdminError,
  request: FastifyRequest,
  reply: FastifyReply,
  log: Log
): void {
  if (error instanceof AdminError) {
    reply.headers(error.headers)
    return send(reply, error.statusCode, error.message)
  }
  const statusCode = error.statusCode ?? 500
  if (statusCode >= 400 && statusCode < 500) return send(reply, statusCode, error.message)
  log.error({ reqId: request.id, err: error, route: request.routeOptions.url }, 'admin query failed')
  send(reply, 500, `the query failed: the cause is in the log, as reqId ${request.id}`)
}

/** Responds to a request that no route takes. */
export function sendNotFound(request: FastifyRequest, reply: FastifyReply): void {
  send(reply, 404, `nothing here answers ${request.method} ${request.url.split('?', 1).join()}`)
}

function send(reply: FastifyReply, statusCode: number, message: string): void {
  // The route may have named the type of what it wanted to send.
  void reply.code(statusCode).type(JSON_TYPE).send({ statusCode, error: STATUS_CODES[statusCode], message })
}
