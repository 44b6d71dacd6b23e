// Owns the limits on what is under way at once: one more is a 503 that says when to come again, and room is found again.
import { test, type Test } from 'tap'
import { responseHead, startProxyTo, requestHead, startUpstream } from '../../support/proxy-under-test.js'
import { connectTo, type RawServer, serveResponses, type RawConnection } from '../../support/raw-http.js'

const post = (path: string, ...fields: string[]): string =>
  requestHead(`POST ${path} HTTP/1.1`, 'Content-Length: 2', ...fields) + '{}'
const get = (path: string, ...fields: string[]): string => requestHead(`GET ${path} HTTP/1.1`, ...fields)
const events = 'Accept: text/event-stream'

function isRefused(t: Test, { reader }: RawConnection, message: RegExp): void {
  t.equal(reader.head?.startLine, 'HTTP/1.1 503 Service Unavailable')
  t.equal(reader.value('retry-after'), '1')
  t.match(JSON.parse(reader.text()), { jsonrpc: '2.0', id: null, error: { code: -32000, message } })
}

/** Answers nothing, but to a request for `/ok`; counts its requests. */
async function silentServer(t: Test): Promise<RawServer & { requests: number }> {
  let requests = 0
  const server = await startUpstream(t, async connection => {
    for (;;) {
      await connection.head()
      requests++
      const ok = connection.reader.head!.startLine.includes('/ok')
      await connection.done()
      if (!ok || !connection.reader.complete) return
      connection.next()
      await connection.send(responseHead('200 OK', 'Content-Length: 0'))
    }
  })
  return Object.defineProperty(server as typeof server & { requests: number }, 'requests', {
    get: () => requests
  })
}

async function client(t: Test, port: number, sent?: string): Promise<RawConnection> {
  const connection = await connectTo(port)
  t.teardown(() => connection.socket.destroy())
  if (sent !== undefined) await connection.send(sent)
  return connection
}

/** Sends until the response is no 503: a place is free again. */
async function untilAdmitted(connection: RawConnection, sent: string): Promise<void> {
  for (;;) {
    connection.next()
    await connection.send(sent)
    await connection.done()
    if (!/ 503 /.test(connection.reader.head!.startLine)) return
  }
}

await test('requests: the response is for this one only, and the connection goes on', async t => {
  const server = await silentServer(t)
  const { port, logs } = await startProxyTo(t, server.url, { maxRequests: 2 })
  const waiting = [await client(t, port, post('/a')), await client(t, port, post('/b'))]
  while (server.requests < 2) await new Promise(setImmediate)
  const third = await client(t, port, post('/ok'))
  await third.done()
  isRefused(t, third, /too many requests under way/)
  t.match(logs, [{ status: 503, path: '/{\u2026}' }])
  waiting[0]!.socket.destroy()
  await untilAdmitted(third, post('/ok'))
  t.equal(third.reader.head?.startLine, 'HTTP/1.1 200 OK')
})

for (const [name, stream] of Object.entries({
  'a GET for events': get('/stream/a', events),
  'a listen request of 2026-07-28': post('/stream/a', 'Mcp-Method: subscriptions/listen'),
  'a WebSocket': get('/ws', 'Connection: Upgrade', 'Upgrade: websocket')
})) {
  await test(`streams: ${name} counts as one, other requests do not`, async t => {
    const server = await silentServer(t)
    const { port } = await startProxyTo(t, server.url, { maxStreams: 1 })
    const open = await client(t, port, stream)
    while (server.requests < 1) await new Promise(setImmediate)
    const refused = await client(t, port, stream)
    await refused.done()
    isRefused(t, refused, /too many streams under way/)
    const other = await client(t, port, post('/ok'))
    await other.done()
    t.equal(other.reader.head?.startLine, 'HTTP/1.1 200 OK')
    open.socket.destroy()
    for (;;) {
      const before = server.requests
      const next = await client(t, port, stream)
      while (!next.reader.complete && server.requests === before) await new Promise(setImmediate)
      if (!next.reader.complete) break
    }
    t.pass('a place is free again')
  })
}

await test('connections: those over the limit get a response and are closed', async t => {
  const server = await serveResponses(() => responseHead('200 OK', 'Content-Length: 0'))
  t.teardown(() => server.close())
  const { port } = await startProxyTo(t, server.url, { maxConnections: 2 })
  const [first, second] = [await client(t, port), await client(t, port)]
  const third = await client(t, port, post('/ok'))
  await third.closed()
  isRefused(t, third, /too many connections/)
  await second.send(post('/ok'))
  await second.done()
  t.equal(second.reader.head?.startLine, 'HTTP/1.1 200 OK', 'those before it go on')
  first.socket.destroy()
  for (;;) {
    const next = await client(t, port, post('/ok'))
    await next.done()
    if (/ 200 /.test(next.reader.head!.startLine)) break
  }
  t.pass('a place is free again')
})

await test('connections: far over the limit they are closed at once', async t => {
  const server = await silentServer(t)
  const { port } = await startProxyTo(t, server.url, { maxConnections: 1 })
  const many = await Promise.all(Array.from({ length: 200 }, () => client(t, port)))
  await Promise.any(many.slice(100).map(connection => connection.closed()))
  t.ok(many.filter(connection => connection.ended === undefined).length >= 129)
})

await test('sessions: what opens one is refused at the limit, all else passes', async t => {
  const server = await serveResponses(() => responseHead('200 OK', 'Content-Length: 0'))
  t.teardown(() => server.close())
  const live = new Map([['full', 3]])
  const { port } = await startProxyTo(t, server.url, {
    maxSessionsPerEndpoint: 3,
    liveSessions: endpointId => live.get(endpointId) ?? 0
  })
  const connection = await client(t, port)
  const status = async (sent: string): Promise<string> => {
    await connection.send(sent)
    await connection.done()
    const { startLine } = connection.reader.head!
    if (/ 503 /.test(startLine)) isRefused(t, connection, /reached its session limit/)
    connection.next()
    return startLine.split(' ')[1]!
  }
  const era = 'Mcp-Protocol-Version: 2026-07-28'
  for (const [name, sent, expected] of [
    ['initialize', post('/stream/full'), '503'],
    [
      'initialize with its revision, as the Java client sends it',
      post('/stream/full', 'Mcp-Protocol-Version: 2025-11-25'),
      '503'
    ],
    [
      'initialize with its method, as mcp-remote sends it',
      post('/stream/full', 'Mcp-Method: initialize'),
      '503'
    ],
    ['a legacy stream', get('/full/sse', events), '503'],
    ['the endpoint in another spelling', post('/stream/%66ull'), '503'],
    ['an absolute target', post('http://gateway.example/stream/full'), '503'],
    ['initialize on another endpoint', post('/stream/other'), '200'],
    ['a request of a session', post('/stream/full', 'Mcp-Session-Id: s'), '200'],
    ['a session-less request', post('/stream/full', era, 'Mcp-Method: tools/call'), '200'],
    ['a session-less request that does not say its method', post('/stream/full', era), '200'],
    ['a request that says its method only', post('/stream/full', 'Mcp-Method: server/discover'), '200'],
    ['the stream of a session', get('/stream/full', events), '200'],
    ['a DELETE', requestHead('DELETE /stream/full HTTP/1.1', 'Mcp-Session-Id: s'), '200'],
    ['a message', post('/message?sessionId=s&endpointId=full'), '200']
  ] as const) {
    t.equal(await status(sent), expected, name)
  }
  live.set('full', 2)
  t.equal(await status(post('/stream/full')), '200', 'a session ended')
})

await test('sessions: those that are being opened count', async t => {
  const opening: RawConnection[] = []
  const server = await startUpstream(t, async connection => {
    for (;;) {
      await connection.done()
      if (!connection.reader.complete) return
      connection.next()
      opening.push(connection)
    }
  })
  let live = 1
  const { port } = await startProxyTo(t, server.url, { maxSessionsPerEndpoint: 2, liveSessions: () => live })
  const first = await client(t, port, post('/stream/a'))
  while (opening.length === 0) await new Promise(setImmediate)
  const second = await client(t, port, post('/stream/a'))
  await second.done()
  isRefused(t, second, /reached its session limit/)
  // Refused by the gateway: the place is free again.
  await opening[0]!.send(responseHead('401 Unauthorized', 'Content-Length: 0'))
  await first.done()
  second.next()
  await second.send(post('/stream/a'))
  while (opening.length === 1) await new Promise(setImmediate)
  live = 2
  await opening[1]!.send(responseHead('200 OK', 'Transfer-Encoding: chunked'))
  await second.head()
  live = 1
  const third = await client(t, port, post('/stream/a'))
  while (opening.length === 2) await new Promise(setImmediate)
  t.equal(
    third.reader.head,
    undefined,
    'a response under way that told of its session takes one place, not two'
  )
})
