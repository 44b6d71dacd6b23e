// Owns the answers the proxy gives itself: why a request was not forwarded, or not answered by the upstream.
import { randomUUID } from 'node:crypto'
import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyBaseLogger } from 'fastify'
import type { RefusalReason, Traffic, UpstreamFailure } from '../../metrics/traffic.js'
import { codeOf, reasonOf } from '../../util/errors.js'

/** When a client that was refused for the load may come again, in seconds. */
const RETRY_AFTER_S = 1

/** The request is not forwarded: it is no unambiguous one, not meant for the proxy, or one too many. */
export class RefusedRequest extends Error {
  readonly code = 'REFUSED_REQUEST'
  constructor(
    message: string,
    readonly status: 400 | 403 | 501 | 503 = 400,
    readonly reason: RefusalReason = 'malformed'
  ) {
    super(message)
  }
}

/** The upstream's answer cannot be passed on without changing what it means. */
export class InvalidUpstreamResponse extends Error {
  readonly code = 'INVALID_ANSWER'
}

/** The upstream did not begin its answer in time. */
export class UpstreamTimeout extends Error {
  readonly code = 'UPSTREAM_TIMEOUT'
}

export interface Failure {
  status: number
  /** The header fields and the body of the answer. */
  headers: string[]
  body: string
}

/** Where it is told that a request failed. */
export interface Witnesses {
  logger: FastifyBaseLogger
  traffic: Traffic
}

/** What to answer for `error`, which is counted, and one line in the log with the same request id. */
export function failureOf(error: unknown, req: IncomingMessage, { logger, traffic }: Witnesses): Failure {
  const requestId = randomUUID()
  const { status, message } = describe(error)
  if (error instanceof RefusedRequest) traffic.refused(error.reason)
  else traffic.failed(req.method ?? '', upstreamFailureOf(error), status)
  // The query stays out of the log: a legacy session id in it is a secret.
  const path = req.url?.split('?', 1)[0]
  logger.warn({ requestId, status, method: req.method, path, reason: reasonOf(error) }, message)
  const body = JSON.stringify({
    jsonrpc: '2.0',
    id: null,
    error: { code: -32000, message: `${message} (request id ${requestId})`, data: { requestId } }
  })
  const headers = ['Content-Type', 'application/json', 'Content-Length', String(Buffer.byteLength(body))]
  if (status === 503) headers.push('Retry-After', String(RETRY_AFTER_S))
  return { status, headers, body }
}

export function sendFailure(res: ServerResponse, { status, headers, body }: Failure): void {
  // What follows a request that was not understood is not to be understood either.
  if (status === 400 || status === 501) res.shouldKeepAlive = false
  res.writeHead(status, STATUS_CODES[status], headers)
  res.end(body)
}

/** The same on a connection that left HTTP; it ends with this answer. */
export function sendRawFailure(socket: Socket, { status, headers, body }: Failure): void {
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]!}: ${headers[i + 1]!}\r\n`
  socket.write(`${head}Connection: close\r\n\r\n${body}`)
  socket.destroySoon()
}

function describe(error: unknown): { status: number; message: string } {
  if (error instanceof RefusedRequest) return { status: error.status, message: error.message }
  switch (upstreamFailureOf(error)) {
    case 'timeout':
      return { status: 504, message: 'The upstream did not answer in time' }
    case 'invalid_answer':
      return { status: 502, message: 'The upstream gave no valid answer' }
    case 'unreachable':
      return { status: 502, message: 'The upstream cannot be reached' }
  }
}

function upstreamFailureOf(error: unknown): Exclude<UpstreamFailure, 'broken_off'> {
  const code = codeOf(error)
  // Of node's parser, which reads the answers to upgrades.
  if (code?.startsWith('HPE_')) return 'invalid_answer'
  switch (code) {
    case 'UPSTREAM_TIMEOUT':
      return 'timeout'
    case 'INVALID_ANSWER':
    case 'ECONNRESET':
    case 'EPIPE':
      return 'invalid_answer'
    default:
      return 'unreachable'
  }
}
