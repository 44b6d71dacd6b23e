// Owns what the access log and spans say of one request: plain data, and only made where one of them is on.
import { randomUUID } from 'node:crypto'
import type { Principal } from '../mcp/principal.js'
import type { WireId } from '../mcp/stored-ids.js'
import { isSuccessful } from '../util/http-status.js'
import { type EpochMs, epochNow } from '../util/time.js'
import { text } from './http/headers.js'
import type { RoutedRequest } from './http/routed-request.js'
import type { OutcomeTap } from './taps/outcome-tap.js'
import type { SentMessage } from './taps/request-body.js'

/**
 * Why a request did not go well. `refused`, `failed`: the proxy made the response; `http`: the upstream's has a status from 400 on;
 * `result`: a JSON-RPC error, or a result with `isError`; `cut`: the upstream broke off; `left`: the client left before the end;
 * `unread`: nobody knows.
 */
export type AccessError = 'refused' | 'failed' | 'http' | 'result' | 'cut' | 'left' | 'unread'

/** A request that is over. */
export interface AccessEntry {
  at: EpochMs
  /** `X-Request-Id` of the request, that which a response of the proxy names, or a new one. */
  requestId: string
  endpointId: WireId | undefined
  /** The name of the gateway; undefined where it was sent to none. */
  upstream: string | undefined
  sessionId: WireId | undefined
  /** Of a request that was accepted. */
  principal: Principal | undefined
  /** The HTTP method, and the path without query and session ids. */
  httpMethod: string
  path: string
  /** The JSON-RPC method, and the tool, prompt or resource. */
  method: string | undefined
  tool: string | undefined
  /** Undefined: there was no response. */
  status: number | undefined
  error: AccessError | undefined
  /** Of `result`: the code of the JSON-RPC error, or `tool_error`. */
  failure: string | undefined
  bytesIn: number
  bytesOut: number
  durationMs: number
  /** The header fields of W3C Trace Context, as they came. */
  traceparent: string | undefined
  tracestate: string | undefined
  httpVersion: string
  protocolVersion: string | undefined
  /** What spans say of the message; undefined where none are made, and where it is not known. */
  sent: SentMessage | undefined
}

/** Takes each request when it is over; synchronous, and never throws. */
export type WriteAccess = (entry: AccessEntry) => void

/** How a request ended. */
export interface AccessEnd {
  outcome?: OutcomeTap | undefined
  upstream?: string | undefined
  status: number | undefined
  error: AccessError | undefined
  bytes: { received: number; sent: number }
  durationMs: number
  /** Which a response of the proxy names. */
  requestId?: string | undefined
}

/** An id that other programs made. Chosen: what they use, and nothing that is long. */
const REQUEST_ID = /^[\w.:/+=-]{1,128}$/

/** The entry of a request. */
export function accessEntry(request: RoutedRequest, end: AccessEnd): AccessEntry {
  const { outcome, upstream, status, error, bytes, durationMs, requestId } = end
  const { headers, httpVersion, method = '' } = request.req
  const { rpcMethod, rpcName } = outcome?.asked ?? {}
  const named = text(headers['x-request-id'])
  const isAccepted = status !== undefined && isSuccessful(status)
  return {
    at: epochNow(),
    requestId: requestId ?? (named !== undefined && REQUEST_ID.test(named) ? named : randomUUID()),
    endpointId: outcome?.requester?.endpointId ?? endpointOf(request),
    upstream,
    sessionId: outcome?.requester?.sessionId,
    principal: isAccepted ? request.principal : undefined,
    httpMethod: method,
    path: request.shownPath,
    method: rpcMethod,
    tool: rpcName,
    status,
    error,
    bytesIn: bytes.received,
    bytesOut: bytes.sent,
    durationMs,
    failure: outcome?.failure,
    traceparent: text(headers['traceparent']),
    tracestate: text(headers['tracestate']),
    httpVersion,
    protocolVersion: text(headers['mcp-protocol-version']),
    sent: outcome?.sent
  }
}

/** What the target says of it, if it can be read. */
function endpointOf(request: RoutedRequest): WireId | undefined {
  try {
    return request.target.route?.endpointId
  } catch {
    return undefined
  }
}
