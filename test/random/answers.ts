// Owns how gateways answer, and what that means by the tables of docs/counting.md: data, from which the driver draws.
import type { Random } from '../support/random.js'
import type { Script } from './scripted-gateway.js'

/** What an answer to a request of a session says of it. `refused`: nothing. */
export type Meaning = 'use' | 'refused' | 'gone' | 'suspect'

const json = { 'content-type': 'application/json' }
const events = { 'content-type': 'text/event-stream' }
const html = { 'content-type': 'text/html' }
const plain = { 'content-type': 'text/plain' }
const result = '{"jsonrpc":"2.0","id":1,"result":{}}'
const error = (code: number, message: string): string =>
  JSON.stringify({ jsonrpc: '2.0', error: { code, message }, id: null })
const event = (data: string): string => `event: message\ndata: ${data}\n\n`

export const accepted: readonly Script[] = [
  { status: 200, headers: json, body: result },
  { status: 200, headers: json, body: error(-32602, 'Invalid params') },
  { status: 200, headers: json, body: error(-32603, 'Session not found') },
  { status: 200, headers: events, body: `id: 0\nretry: 3000\ndata: \n\n${event(result)}` },
  { status: 202 },
  { status: 204 }
]

export const notFound: readonly Script[] = [
  { status: 404, headers: plain, body: 'Not Found: Session not found' },
  { status: 404, headers: json, body: error(-32001, 'Session not found') },
  { status: 401, headers: plain, body: 'Unauthorized: Session not found' },
  { status: 400, headers: json, body: error(-32000, 'Bad Request: No valid session ID provided') },
  { status: 400, headers: json, body: error(-32600, 'Invalid or expired session ID') },
  { status: 503, headers: json, body: error(-32600, 'Session not found') },
  { status: 200, headers: json, body: error(-32600, 'Session not found') },
  { status: 200, headers: json, body: error(-32000, 'No valid session ID provided') },
  { status: 200, headers: events, body: event(error(-32600, 'Session not found')) }
]

/** They do not say whether the session or the page is unknown. */
export const unexplained: readonly Script[] = [
  { status: 404 },
  { status: 404, headers: plain, body: '404 page not found\n' },
  { status: 404, headers: html, body: '<html><head><title>404 Not Found</title></head></html>' },
  { status: 404, headers: json, body: '{"detail":"Not Found"}' }
]

export const refused: readonly Script[] = [
  { status: 404, headers: json, body: error(-32601, 'Method not found') },
  { status: 401, headers: { ...json, 'www-authenticate': 'Bearer' }, body: '{"error":"invalid_token"}' },
  { status: 401, headers: plain, body: 'Session expired' },
  { status: 403, headers: plain, body: 'Session expired' },
  { status: 400, headers: json, body: error(-32600, 'Bad Request: Unsupported protocol version') },
  { status: 405, headers: { allow: 'POST' } },
  { status: 406 },
  { status: 429 },
  { status: 500, headers: plain, body: 'Internal Server Error' },
  { status: 503, headers: html, body: '<html>upstream connect error</html>' }
]

const table: Record<Meaning, readonly Script[]> = {
  use: accepted,
  refused,
  gone: notFound,
  suspect: unexplained
}

/** `plainly`: by its status, as only the answer to a POST has more to say. */
export const answerThat = (random: Random, meaning: Meaning, plainly = false): Script => ({
  ...random.pick(table[meaning].filter(({ status }) => !plainly || meaning === 'use' || status >= 400))
})
