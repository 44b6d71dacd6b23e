// Owns what one response says about its session, as tables: the signals of the wire (404 → gone, or in
// doubt), nothing remembered.
import { isSessionless } from '../mcp/revisions.js'
import { isSuccessful } from '../util/http-status.js'
import type { MessageResponse, PingResponse, StreamableResponse } from './observations.js'

/**
 * What a response proves.
 * - `open`: it issued this session id.
 * - `use`: the upstream accepted a request of this session.
 * - `claim`: it accepted a request that names a session, but is of a revision without sessions.
 * - `delete`: it accepted the client's DELETE.
 * - `gone`: it says that it does not know the session any more.
 * - `doubt`: a `404` without a word on the session: the upstream, or whatever stands before it, may mean that.
 * - `living`: it knows the session, and the proxy itself asked.
 * - `visit`: it accepted a request of a client that has no session.
 * - `none`: nothing.
 */
export type Signal = 'open' | 'use' | 'claim' | 'delete' | 'gone' | 'doubt' | 'living' | 'visit' | 'none'

type Applies<Response> = (response: Response) => boolean
type Rule<Response, S = Signal> = readonly [signal: S, applies: Applies<Response>]
type Refusal = Pick<StreamableResponse, 'status' | 'sessionNotFound' | 'methodNotFound'>

// MCP 2025-11-25, Streamable HTTP, "Session Management": a server answers requests of a terminated session with 404.
const is404: Applies<Partial<Refusal>> = r => r.status === 404 && r.methodNotFound !== true

/** Whether the request is one of those that MCP sends for a session; what a refusal of others means is not the session. */
export const isSessionRequest = ({
  method,
  acceptsStream
}: Pick<StreamableResponse, 'method' | 'acceptsStream'>): boolean =>
  method === 'POST' || method === 'DELETE' || (method === 'GET' && acceptsStream === true)

const isUse: Applies<StreamableResponse> = r =>
  (r.method === 'POST' || r.method === 'GET') && isSuccessful(r.status)

/** The first rule that applies counts. */
const streamableRules: readonly Rule<StreamableResponse>[] = [
  [
    'open',
    r => isSuccessful(r.status) && r.issuedSessionId !== undefined && r.issuedSessionId !== r.sessionId
  ],
  ['visit', r => r.method === 'POST' && isSuccessful(r.status) && r.sessionId === undefined],
  ['none', r => r.sessionId === undefined],
  // Servers that know revisions without sessions accept no DELETE from them; older servers do not look at the revision.
  ['delete', r => r.method === 'DELETE' && isSuccessful(r.status)],
  ['gone', r => r.sessionNotFound && isSessionRequest(r)],
  ['claim', r => isSessionless(r.protocolVersion) && isUse(r)],
  // From MCP 2026-07-28 on, 404 means "method not found".
  ['none', r => isSessionless(r.protocolVersion)],
  ['doubt', r => is404(r) && isSessionRequest(r)],
  ['use', isUse]
]

/** What of a response to a ping, or to a message, is looked at. */
type Read = Pick<PingResponse | MessageResponse, 'status' | 'sessionNotFound' | 'methodNotFound'>

const pingRules: readonly Rule<Read, 'gone' | 'living'>[] = [
  ['gone', r => r.sessionNotFound === true || is404(r)],
  ['living', r => isSuccessful(r.status)]
]

// 410 proves nothing: rmcp answers it when the service behind the session ended, with the stream still open. Nobody can ask
// for a legacy session, so that its 404 counts at once.
const messageRules: readonly Rule<Read, 'use' | 'gone'>[] = [
  ['gone', r => r.sessionNotFound === true || is404(r)],
  ['use', r => isSuccessful(r.status)]
]

function firstMatch<Response, S>(rules: readonly Rule<Response, S>[], response: Response): S | 'none' {
  return rules.find(([, applies]) => applies(response))?.[0] ?? 'none'
}

/** Reads a response of `/stream/{endpoint_id}`. */
export const streamableSignal = (response: StreamableResponse): Signal =>
  firstMatch(streamableRules, response)

/** Reads the response to a ping of the proxy. */
export const pingSignal = (response: Read | PingResponse): 'gone' | 'living' | 'none' =>
  firstMatch(pingRules, response)

/** Reads a response of `POST /message`. */
export const messageSignal = (response: Read | MessageResponse): 'use' | 'gone' | 'none' =>
  firstMatch(messageRules, response)
