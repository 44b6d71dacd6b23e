// Owns what the log and the metrics say of MCP that is not counted, once each, and that no session id gets into the log.
import { test, type Test } from 'tap'
import { Traffic } from '../../../src/metrics/traffic.js'
import { requestHead, responseHead, startProxyTo } from '../../support/proxy-under-test.js'
import { connectTo, serveResponses } from '../../support/raw-http.js'

const SESSION = 'mcp-session-id: SECRET'
const JSON_TYPE = 'Content-Type: application/json'
const OK = responseHead('200 OK', JSON_TYPE, 'Content-Length: 0')
const ISSUED = responseHead('200 OK', JSON_TYPE, SESSION, 'Content-Length: 0')
const EVENTS = responseHead('200 OK', 'Content-Type: text/event-stream', 'Content-Length: 0')

/** Sends each request, gets `reply`, and resolves to what was logged and counted. */
async function said(t: Test, reply: string, ...requests: [line: string, ...fields: string[]][]) {
  const server = await serveResponses(() => reply)
  t.teardown(() => server.close())
  const traffic = new Traffic()
  const { port, logs, observations } = await startProxyTo(t, server.url, { traffic })
  for (const [line, ...fields] of requests) {
    const connection = await connectTo(port, line.split(' ', 1)[0])
    await connection.send(requestHead(`${line} HTTP/1.1`, ...fields))
    await connection.done()
    connection.socket.destroy()
  }
  t.notMatch(JSON.stringify(logs), /SECRET/, 'no session id in the log')
  return { logs, observations, uncounted: traffic.uncounted }
}

const post = (path: string, ...fields: string[]): [string, ...string[]] => [
  `POST ${path}`,
  JSON_TYPE,
  'Content-Length: 0',
  ...fields
]

await test('a request that looks like MCP on a path that no pattern covers', async t => {
  for (const [reply, request, setting] of [
    [OK, post('/mcp?x=SECRET', SESSION), '--stream-path'],
    [OK, post('/mcp', 'mcp-protocol-version: 2026-07-28'), '--stream-path'],
    [ISSUED, post('/mcp'), '--stream-path'],
    [EVENTS, ['GET /mcp', SESSION], '--stream-path'],
    [EVENTS, ['GET /mcp'], '--sse-path'],
    [OK, post('/mcp?sessionId=SECRET', 'mcp-protocol-version: 2024-11-05'), '--message-path']
  ] as [string, [string, ...string[]], string][]) {
    const { logs, uncounted, observations } = await said(t, reply, request, request)
    t.match(logs, [
      { path: '/mcp', msg: `a request that looks like MCP is not counted: let ${setting} cover its path` }
    ])
    t.strictSame(uncounted, { path: 2, encoding: 0 })
    t.strictSame(observations, [])
  }
})

await test('a path that is no UTF-8', async t => {
  const { logs, uncounted } = await said(t, ISSUED, post('/stream/%ff'))
  t.match(logs, [{ path: '/stream/{…}', msg: /not counted: its path is no UTF-8$/ }])
  t.strictSame(uncounted, { path: 0, encoding: 1 })
})

await test('what is refused, and what does not look like MCP, is not told', async t => {
  const refused = responseHead('404 Not Found', SESSION, 'Content-Length: 0')
  const { logs, uncounted } = await said(t, refused, post('/mcp', SESSION), ['GET /mcp'])
  t.strictSame(logs, [])
  t.strictSame((await said(t, OK, post('/mcp'), ['GET /'], ['POST /form', SESSION])).logs, [])
  t.strictSame(uncounted, { path: 0, encoding: 0 })
})

await test('whatever paths strangers choose, the log stays short', async t => {
  const words = ['api', 'mcp', 'sse', 'v1', 'rpc', 'tools']
  const paths = words.flatMap(a => words.map(b => `/${a}/${b}/SECRET`))
  const { logs, uncounted } = await said(t, ISSUED, ...paths.map(path => post(path)))
  t.equal(logs.length, 20)
  t.equal(uncounted.path, paths.length)
})

await test('two session ids in one response: the first one counts', async t => {
  const two = responseHead('200 OK', 'Mcp-Session-Id: A-1', 'mcp-session-id: B-2', 'Content-Length: 0')
  const { logs, observations } = await said(t, two, post('/stream/e'), post('/stream/e'))
  const heads = observations.filter(({ kind }) => kind === 'streamable')
  t.match(heads, [{ issuedSessionId: 'A-1' }, { issuedSessionId: 'A-1' }])
  t.match(logs, [{ path: '/stream/e', msg: /two fields mcp-session-id: the first one counts/ }])
  t.equal(logs.length, 1)
})

await test('a request that fails is logged without the session id in its path', async t => {
  const broken = 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n'
  const { logs } = await said(t, broken, post('/mcp/messages/SECRET'), post('/SECRET/mcp?id=SECRET'))
  t.match(logs, [
    { status: 502, path: '/mcp/messages/{…}' },
    { status: 502, path: '/{…}/mcp' }
  ])
})
