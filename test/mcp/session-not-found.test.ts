// Owns which texts of a response say that its session is not found: what real servers write, and what only looks like it.
import t from 'tap'
import { firstMessageIn, mayBeSessionError, sessionErrorIn } from '../../src/mcp/session-not-found.js'

const error = (code: number, message: string): string =>
  JSON.stringify({ jsonrpc: '2.0', error: { code, message }, id: null })

const known: readonly [who: string, status: number, body: string][] = [
  ['rmcp 1.0 and later', 404, 'Not Found: Session not found'],
  ['rmcp 0.x', 401, 'Unauthorized: Session not found'],
  ['TypeScript and C# SDK', 404, error(-32001, 'Session not found')],
  ['Python SDK', 404, error(-32600, 'Session not found')],
  ['Python SDK', 404, error(-32600, 'Not Found: Invalid or expired session ID')],
  ['Python SDK', 404, error(-32600, 'Not Found: Session has been terminated')],
  ['Python SDK, legacy', 404, 'Could not find session'],
  ['Go SDK', 404, 'session not found\n'],
  ['mcp-go', 400, 'Invalid session ID\n'],
  ['mcp-go', 404, 'Session terminated'],
  ['Java SDK', 404, error(-32603, 'Session not found: 8f0c7f6e-1d2a-4a60-b0c6-2f2b1c0b8a11')],
  ['Kotlin SDK', 404, 'Session not found'],
  ['Ruby SDK', 404, '{"error":"Session not found"}'],
  ['PHP SDK', 404, error(-32600, 'Session not found or has expired.')],
  ['Swift SDK', 404, error(-32600, 'Not Found: Invalid or expired session ID')],
  ['server-everything', 400, error(-32000, 'Bad Request: No valid session ID provided')],
  ['made from it', 400, error(-32000, 'Bad Request: No valid session ID or not an initialize request')],
  ['made from it', 400, error(-32000, 'Bad Request: no valid session ID provided (send initialize first)')],
  ['TypeScript SDK with a new transport', 400, error(-32000, 'Bad Request: Server not initialized')],
  ['TypeScript example, legacy', 400, 'No transport found for sessionId'],
  ['a framework', 404, '{"detail":"Session not found"}'],
  ['a gateway', 410, 'Session expired'],
  ['a gateway', 503, error(-32600, 'Session not found')],
  ['a gateway', 403, 'Unknown session ID'],
  ['a gateway', 404, '{"message":"Session \\"abc-1\\" not found"}'],
  ['a gateway', 404, "The session doesn't exist."],
  ['within a 200', 200, error(-32600, 'Session not found')],
  ['within a 200', 200, error(-32001, 'Session not found')],
  ['within a 200', 200, `[${error(-32001, 'Session not found')}]`]
]
const others: readonly [what: string, status: number, body: string][] = [
  ['an id that is missing', 400, error(-32000, 'Bad Request: Mcp-Session-Id header is required')],
  ['an id that is missing', 401, 'Unauthorized: Session ID is required'],
  ['an id that is missing', 400, 'No session ID provided'],
  ['a login', 401, 'Unauthorized'],
  ['a login', 401, '{"error":"Session expired"}'],
  ['a login', 403, 'Invalid session'],
  ['a login', 401, 'Unauthorized: Session not found in tenant db'],
  ['an ingress', 404, '404 page not found'],
  ['an ingress', 404, 'default backend - 404'],
  ['an ingress', 404, ''],
  ['a page', 404, '<html><body>Session not found</body></html>'],
  ['a tool', 200, error(-32602, 'Session not found')],
  ['a tool', 200, error(-32603, 'Session not found')],
  [
    'a result',
    200,
    '{"jsonrpc":"2.0","id":1,"result":{"error":{"code":-32600,"message":"Session not found"}}}'
  ],
  [
    'a result',
    404,
    '{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":-32600,"message":"Session not found"}}'
  ],
  ['a plain 200', 200, 'Session not found'],
  ['a plain 200', 200, '{"message":"Session not found"}'],
  ['another text', 404, 'The document about how a session not found is handled was not found'],
  ['another text', 500, error(-32603, 'Session store failed')],
  ['a long text', 404, `Session not found: ${'x'.repeat(600)}`]
]

for (const [who, status, body] of known)
  void t.test(`${who}: ${status} ${body.trim()}`, t => {
    t.equal(sessionErrorIn(status, body), 'session-not-found')
    t.end()
  })

for (const [what, status, body] of others)
  void t.test(`${what}: ${status} ${body.slice(0, 80)}`, t => {
    t.equal(sessionErrorIn(status, body), undefined)
    t.end()
  })

void t.test('an unknown method is told apart', t => {
  t.equal(sessionErrorIn(404, error(-32601, 'Method not found')), 'method-not-found')
  t.equal(sessionErrorIn(404, error(-32601, 'Session not found')), 'method-not-found')
  t.end()
})

void t.test('which responses are read', t => {
  t.ok(mayBeSessionError(404, {}))
  t.ok(mayBeSessionError(200, { 'content-type': 'application/json; charset=utf-8', 'content-length': '100' }))
  t.notOk(mayBeSessionError(200, { 'content-type': 'text/plain' }))
  t.notOk(mayBeSessionError(200, { 'content-type': 'application/json', 'content-length': '4097' }))
  t.notOk(mayBeSessionError(401, { 'www-authenticate': 'Bearer' }))
  t.notOk(mayBeSessionError(404, { 'content-type': 'text/html' }))
  t.notOk(mayBeSessionError(404, { 'content-encoding': 'gzip' }))
  t.notOk(mayBeSessionError(307, {}))
  t.end()
})

void t.test('the first message of an event stream', t => {
  const message = error(-32600, 'Session not found')
  t.equal(firstMessageIn(`data: \nid: 0\nretry: 3000\n\nevent: message\ndata: ${message}\n\n`), message)
  t.equal(firstMessageIn(`data:${message}\r\n\r\n`), message)
  t.equal(firstMessageIn(': ping\n\n'), '')
  t.end()
})
