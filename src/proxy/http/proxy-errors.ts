// Owns the responses that the proxy makes itself: to a request that it does not forward, or that the upstream failed.
import { randomUUID } from 'node:crypto'
import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { RefusalReason, Traffic, UpstreamFailure } from '../../metrics/traffic.js'
import { codeOf, reasonOf, TurnstileError } from '../../util/errors.js'
import type { Log } from '../../util/log.js'
import { limitLateBody } from './late-body.js'
import { endConnectionAfter } from './node-internals.js'
import type { UpstreamCors } from './upstream-cors.js'

/** `Retry-After` of what is over a limit. Chosen: the shortest that the field can say, as a limit is free again with the next response. */
const RETRY_AFTER_S = 1

/** The JSON-RPC error code of these responses: the first that JSON-RPC 2.0 §5.1 leaves to servers. */
const SERVER_ERROR = -32000

/** The request is not forwarded: it is ambiguous, not meant for this proxy, or over a limit. Clients read the message. */
export class RefusedRequest extends TurnstileError {
  readonly code = 'REFUSED_REQUEST'

  /** `status` is that of the response; `reason` is how the refusal is counted. */
  constructor(
    message: string,
    readonly status: 400 | 403 | 429 | 501 | 503 = 400,
    readonly reason: RefusalReason = 'malformed'
  ) {
    super(message)
  }
}

/** The upstream's response is invalid, or incomplete: to pass it on would change what it means. */
export class InvalidUpstreamResponse extends TurnstileError {
  readonly code = 'INVALID_UPSTREAM_RESPONSE'
}

/** The head of the upstream's response did not come in time. */
export class UpstreamTimeout extends TurnstileError {
  readonly code = 'UPSTREAM_TIMEOUT'
}

/** The gateway of a session is not known, as one that may have it does not answer. */
export class UnknownUpstream extends TurnstileError {
  readonly code = 'UNKNOWN_UPSTREAM'
}

/** The response of the proxy to a request that failed. */
export interface FailureResponse {
  status: number
  /** Which the response and the log name. */
  requestId: string
  /** Name, value, name, value. */
  headers: string[]
  /** A JSON-RPC error, which MCP clients can show. */
  body: string
}

/** What is counted and logged of a request that failed. */
export interface FailedRequest {
  req: IncomingMessage
  /** Its path without what the log must not hold. */
  shownPath: string
}

/** Where failures are logged and counted, and what says which web pages may read their responses. */
export interface FailureLog {
  /** For what the proxy refuses. */
  refusals: Log
  /** For what the upstream failed. */
  failures: Log
  traffic: Traffic
  cors: UpstreamCors
}

/**
 * The response for `error`. The failure is counted, and logged with the request id that the response names; of many at once, samples. What
 * is neither a refusal nor an error of ours counts as an upstream that cannot be reached.
 * @param upstream The name of the gateway that failed, where there are several.
 */
export function failureOf(
  error: unknown,
  { req, shownPath: path }: FailedRequest,
  { refusals, failures, traffic, cors }: FailureLog,
  upstream?: string
): FailureResponse {
  const requestId = randomUUID()
  const { status, message } = describe(error, upstream)
  const isRefusal = error instanceof RefusedRequest
  if (isRefusal) traffic.refused(error.reason)
  else traffic.failed(req.method ?? '', upstreamFailureOf(error), status, upstream)
  const named = upstream === undefined ? {} : { upstream }
  const log = isRefusal ? refusals : failures
  log.warn({ requestId, status, method: req.method, path, ...named, reason: reasonOf(error) }, message)
  const body = JSON.stringify({
    jsonrpc: '2.0',
    id: null,
    error: {
      code: SERVER_ERROR,
      message: `${message} (request id ${requestId})`,
      data: { requestId, ...named }
    }
  })
  const headers = ['Content-Type', 'application/json', 'Content-Length', String(Buffer.byteLength(body))]
  headers.push(...cors.fieldsFor(req))
  if (status === 429 || status === 503) headers.push('Retry-After', String(RETRY_AFTER_S))
  return { status, requestId, headers, body }
}

/** Sends the response of a failed request, whose head has not been written yet. */
export function sendFailure(res: ServerResponse, { status, headers, body }: FailureResponse): void {
  // Where a request is not understood, it is not known where it ends and the next one begins.
  if (status === 400 || status === 501) endConnectionAfter(res)
  limitLateBody(res.req)
  res.writeHead(status, STATUS_CODES[status], headers)
  res.end(body)
}

/** Sends the response of a failed upgrade, on a connection that Node no longer handles; the connection ends with it. */
export function sendRawFailure(socket: Socket, { status, headers, body }: FailureResponse): void {
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]!}: ${headers[i + 1]!}\r\n`
  socket.write(`${head}Connection: close\r\n\r\n${body}`)
  socket.destroySoon()
}

function describe(error: unknown, upstream: string | undefined): { status: number; message: string } {
  if (error instanceof RefusedRequest) return { status: error.status, message: error.message }
  if (error instanceof UnknownUpstream) return { status: 502, message: error.message }
  const named = upstream === undefined ? 'The upstream' : `The upstream ${upstream}`
  switch (upstreamFailureOf(error)) {
    case 'timeout':
      return { status: 504, message: `${named} did not respond in time` }
    case 'invalid_answer':
      return { status: 502, message: `${named} gave no valid response` }
    case 'unreachable':
      return { status: 502, message: `${named} cannot be reached` }
  }
}

function upstreamFailureOf(error: unknown): Exclude<UpstreamFailure, 'broken_off'> {
  const code = codeOf(error)
  // From Node's parser, which reads the responses to upgrades.
  if (code?.startsWith('HPE_')) return 'invalid_answer'
  switch (code) {
    case 'UPSTREAM_TIMEOUT':
      return 'timeout'
    case 'INVALID_UPSTREAM_RESPONSE':
    case 'ECONNRESET':
    case 'EPIPE':
      return 'invalid_answer'
    default:
      return 'unreachable'
  }
}
