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
const ENDPOINT = 'event: endpoint\ndata: /kites?sessionId=SECRET\n\n'
const streamOf = (event: string): string =>
  responseHead('200 OK', 'Content-Type: text/event-stream', `Content-Length: ${event.length}`) + event
const LEGACY = streamOf(ENDPOINT)
const OTHER = streamOf('event: tick\ndata: {}\n\n')
/** What `startProxyTo` counts. */
const COUNTED = { stream: '/stream/{endpoint_id}', sse: '/{endpoint_id}/sse', message: '/message' }

/** Sends each request, gets `reply`, and resolves to what was logged and counted. */
async function said(t: Test, reply: string, ...requests: [line: string, ...fields: string[]][]) {
  const server = await serveResponses(() => reply)
  t.teardown(() => server.close())
  const traffic = new Traffic()
  const { proxy, port, logs, observations } = await startProxyTo(t, server.url, { traffic })
  for (const [line, ...fields] of requests) {
    const connection = await connectTo(port, line.split(' ', 1)[0])
    await connection.send(requestHead(`${line} HTTP/1.1`, ...fields))
    await connection.done()
    connection.socket.destroy()
  }
  t.notMatch(JSON.stringify(logs), /SECRET/, 'no session id in the log')
  return { logs, observations, uncounted: traffic.uncounted, paths: proxy.uncounted() }
}

const post = (path: string, ...fields: string[]): [string, ...string[]] => [
  `POST ${path}`,
  JSON_TYPE,
  'Content-Length: 0',
  ...fields
]

await test('a request that looks like MCP on a path that no pattern covers', async t => {
  for (const [reply, request, setting] of [
    [OK, post('/mcp?x=SECRET', SESSION), 'stream'],
    [OK, post('/mcp', 'mcp-protocol-version: 2026-07-28'), 'stream'],
    [ISSUED, post('/mcp'), 'stream'],
    [EVENTS, ['GET /mcp', SESSION], 'stream'],
    [LEGACY, ['GET /mcp'], 'sse'],
    [OK, post('/mcp?sessionId=SECRET', 'mcp-protocol-version: 2024-11-05'), 'message']
  ] as [string, [string, ...string[]], keyof typeof COUNTED][]) {
    const { logs, uncounted, observations, paths } = await said(t, reply, request, request)
    const advice = `give --${setting}-path ${COUNTED[setting]},/mcp`
    t.match(logs, [{ path: '/mcp', msg: `a request that looks like MCP is not counted: ${advice}` }])
    t.strictSame(paths, [{ path: '/mcp', advice, requests: 2 }])
    t.strictSame(uncounted, { path: 2, encoding: 0 })
    t.strictSame(observations, [])
  }
})

await test('a session that begins on a path of other words: its flag names them, and nothing that may be secret', async t => {
  for (const [reply, request, flag] of [
    [ISSUED, post('/kites/go'), `--stream-path ${COUNTED.stream},/kites/go`],
    [ISSUED, post('/kites/SECRET/go'), `--stream-path ${COUNTED.stream},/kites/{endpoint_id}/go`],
    [LEGACY, ['GET /kites/events'], `--sse-path ${COUNTED.sse},/kites/events`]
  ] as [string, [string, ...string[]], string][]) {
    const { paths } = await said(t, reply, request)
    t.match(paths, [{ advice: `give ${flag}` }])
  }
})

await test('all requests to one path get one advice', async t => {
  const { logs, paths, uncounted } = await said(
    t,
    ISSUED,
    post('/kites/go'),
    post('/kites/go', SESSION),
    ['GET /kites/go', SESSION],
    post('/kites/go', 'mcp-protocol-version: 2026-07-28')
  )
  t.equal(logs.length, 1)
  t.match(paths, [{ advice: `give --stream-path ${COUNTED.stream},/kites/go`, requests: 4 }])
  t.equal(uncounted.path, 4)
})

await test('a request that names its session in a header is none of the legacy transport, whatever its path', async t => {
  const { paths } = await said(t, OK, post('/api/mcp-v1', SESSION))
  t.match(paths, [{ advice: `give --stream-path ${COUNTED.stream},/api/{endpoint_id}` }])
})

await test('a stream that is no legacy session is not told', async t => {
  const { logs, paths } = await said(t, OTHER, ['GET /ticks'])
  t.strictSame([logs, paths], [[], []])
})

await test('a legacy stream at the path of a Streamable HTTP endpoint is counted', async t => {
  const { logs, observations } = await said(t, LEGACY, ['GET /stream/e'])
  t.match(
    observations.filter(({ kind }) => kind.startsWith('legacy')),
    [
      { kind: 'legacy-opened', endpointId: 'e', sessionId: 'SECRET' },
      { kind: 'legacy-ended', endpointId: 'e', sessionId: 'SECRET' }
    ]
  )
  t.strictSame(logs, [])
  t.strictSame((await said(t, OTHER, ['GET /stream/e'])).logs, [], 'one without a session is nothing')
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
  const targets = words.flatMap(a => words.map(b => `/${a}/${b}/SECRET`))
  const { logs, uncounted, paths } = await said(t, ISSUED, ...targets.map(path => post(path)))
  t.equal(logs.length, 20)
  t.equal(paths.length, 20)
  t.equal(uncounted.path, targets.length)
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
