// Owns what one observation says about its session, as tables: the wire's signals, nothing remembered.
import { isSessionless } from '../mcp/revisions.js'
import { isSuccessful } from '../util/http-status.js'
import type { MessageResponse, PingResponse, StreamableResponse } from './observations.js'

/**
 * `open`: the answer issued this id. `use`: the gateway accepted a request of this session. `delete`: it accepted
 * the client's DELETE. `gone`: it does not know the session any more. `living`: it does, asked by the proxy itself.
 * `visit`: it accepted a request of a client that has no session. `claim`: it accepted one that names a session, of a
 * revision without sessions. `none`: nothing is proved.
 */
export type Signal = 'open' | 'use' | 'claim' | 'delete' | 'gone' | 'living' | 'visit' | 'none'
type Applies<Answer> = (answer: Answer) => boolean
type Rule<Answer, S = Signal> = readonly [signal: S, applies: Applies<Answer>]
const refusedAsUnknown: Applies<{ status: number; sessionNotFound: boolean }> = a =>
  a.status === 401 && a.sessionNotFound

const gone: Applies<{ status: number; sessionNotFound: boolean }> = a =>
  a.status === 404 || refusedAsUnknown(a)

const isUse: Applies<StreamableResponse> = a =>
  (a.method === 'POST' || a.method === 'GET') && isSuccessful(a.status)

const streamableRules: readonly Rule<StreamableResponse>[] = [
  [
    'open',
    a => isSuccessful(a.status) && a.issuedSessionId !== undefined && a.issuedSessionId !== a.sessionId
  ],
  ['visit', a => a.method === 'POST' && isSuccessful(a.status) && a.sessionId === undefined],
  ['none', a => a.sessionId === undefined],
  // Gateways that know revisions without sessions do not accept it from them, and older ones do not look at the revision.
  ['delete', a => a.method === 'DELETE' && isSuccessful(a.status)],
  ['gone', refusedAsUnknown],
  ['claim', a => isSessionless(a.protocolVersion) && isUse(a)],
  ['none', a => isSessionless(a.protocolVersion)],
  ['gone', gone],
  ['use', isUse]
]

const pingRules: readonly Rule<PingResponse, 'gone' | 'living'>[] = [
  ['gone', gone],
  ['living', a => isSuccessful(a.status)]
]

// 410 proves nothing: rmcp answers it when the service behind the session ended, with the stream still open.
const messageRules: readonly Rule<MessageResponse, 'use' | 'gone'>[] = [
  ['use', a => isSuccessful(a.status)],
  ['gone', a => a.status === 404]
]

function firstMatch<Answer, S>(rules: readonly Rule<Answer, S>[], answer: Answer): S | 'none' {
  return rules.find(([, applies]) => applies(answer))?.[0] ?? 'none'
}

/** Reads an answer of `/stream/{endpoint_id}`. */
export const streamableSignal = (answer: StreamableResponse): Signal => firstMatch(streamableRules, answer)

/** Reads the answer to a ping of the proxy. */
export const pingSignal = (answer: PingResponse): 'gone' | 'living' | 'none' => firstMatch(pingRules, answer)

/** Reads an answer of `POST /message`. */
export const messageSignal = (answer: MessageResponse): 'use' | 'gone' | 'none' =>
  firstMatch(messageRules, answer)
