// Owns how long the proxy waits for clients: for heads, bodies, the next request, and those that do not read.
import { setTimeout as delay } from 'node:timers/promises'
import { test, type Test } from 'tap'
import {
  requestHead,
  responseHead,
  startExchange,
  startProxyTo,
  startUpstream
} from '../../support/proxy-under-test.js'
import { connectTo, serveResponses, type RawConnection } from '../../support/raw-http.js'

const SHORT_MS = 200
const ok = responseHead('200 OK', 'Content-Length: 2') + 'ok'

/** Sends a byte at a time, well within any timeout between two, until the connection ends. */
async function drip(connection: RawConnection, byte = 'a'): Promise<void> {
  while (connection.ended === undefined) {
    await connection.send(byte)
    await delay(SHORT_MS / 10)
  }
}

async function okServer(t: Test): Promise<URL> {
  const server = await serveResponses(() => ok)
  t.teardown(() => server.close())
  return server.url
}

for (const [name, sent, then] of [
  ['nothing is sent', '', () => Promise.resolve()],
  ['a head stops', 'GET /x HTTP/1.1\r\nHost: a\r\nX-A', () => Promise.resolve()],
  ['a head comes byte by byte', 'GET /x HTTP/1.1\r\nHost: a\r\nX-A: ', drip],
  ['a start line comes byte by byte', 'GET /', drip]
] as const) {
  await test(`slowloris: ${name}`, async t => {
    const { port } = await startProxyTo(t, await okServer(t), { headTimeoutMs: SHORT_MS })
    const connection = await connectTo(port)
    if (sent !== '') await connection.send(sent)
    await Promise.all([then(connection), connection.closed()])
    t.match(connection.reader.head?.startLine, /^(HTTP\/1.1 408 Request Timeout)?$/)
  })
}

await test('slowloris: a head that stops behind a whole request', async t => {
  const { port } = await startProxyTo(t, await okServer(t), { headTimeoutMs: SHORT_MS })
  const connection = await connectTo(port)
  await connection.send(requestHead('GET /x HTTP/1.1'))
  await connection.done()
  t.equal(connection.reader.text(), 'ok')
  connection.next()
  await connection.send('GET /y HTTP/1.1\r\nHost')
  await connection.closed()
  t.equal(connection.reader.head?.startLine, 'HTTP/1.1 408 Request Timeout')
})

await test('a connection without a next request is closed', async t => {
  const { port } = await startProxyTo(t, await okServer(t), { keepAliveTimeoutMs: SHORT_MS })
  const connection = await connectTo(port)
  await connection.send(requestHead('GET /x HTTP/1.1'))
  await connection.done()
  await connection.closed()
  t.equal(connection.ended, 'fin')
})

for (const framing of ['Content-Length: 1000', 'Transfer-Encoding: chunked']) {
  await test(`a body that stops, ${framing}`, async t => {
    let began: (connection: RawConnection) => void
    const connected = new Promise<RawConnection>(resolve => (began = resolve))
    const server = await startUpstream(t, connection => began(connection))
    const { port, logs } = await startProxyTo(t, server.url, { stallTimeoutMs: SHORT_MS })
    const connection = await connectTo(port)
    await connection.send(requestHead('POST /x HTTP/1.1', framing) + '3\r\nabc\r\n')
    const upstream = await connected
    await connection.closed()
    t.equal(connection.reader.head?.startLine, 'HTTP/1.1 408 Request Timeout')
    await upstream.closed()
    t.equal(upstream.reader.complete, false)
    t.same(logs, [])
  })
}

await test('a body that stops when its response is out already', async t => {
  const server = await startUpstream(t, async connection => {
    await connection.bodyText('abc')
    await connection.send(responseHead('413 Content Too Large', 'Content-Length: 0'))
  })
  const { port } = await startProxyTo(t, server.url, { stallTimeoutMs: SHORT_MS })
  const connection = await connectTo(port)
  await connection.send(requestHead('POST /x HTTP/1.1', 'Content-Length: 1000') + 'abc')
  await connection.done()
  t.equal(connection.reader.head?.startLine, 'HTTP/1.1 413 Content Too Large')
  connection.next()
  await connection.closed()
  t.match(connection.reader.head?.startLine, /^(HTTP\/1.1 408 Request Timeout)?$/)
})

await test('a body that comes slowly, and one that the upstream reads slowly, are no stalls', async t => {
  let arrived: (connection: RawConnection) => void
  const connected = new Promise<RawConnection>(resolve => (arrived = resolve))
  const server = await startUpstream(t, connection => {
    connection.socket.pause()
    arrived(connection)
  })
  const { port } = await startProxyTo(t, server.url, { stallTimeoutMs: SHORT_MS })
  const connection = await connectTo(port)
  const length = 32 * 1024 * 1024
  await connection.send(requestHead('POST /x HTTP/1.1', `Content-Length: ${length}`))
  const upstream = await connected
  for (let i = 0; i < 10; i++) {
    await connection.send('x')
    await delay(SHORT_MS / 2)
  }
  const rest = connection.send(Buffer.alloc(length - 10, 'x'))
  await delay(SHORT_MS * 4)
  t.equal(connection.ended, undefined)
  upstream.socket.resume()
  await rest
  await upstream.done()
  await upstream.send(ok)
  await connection.done()
  t.equal(connection.reader.text(), 'ok')
})

await test('a response that is not read', async t => {
  const server = await startUpstream(t, async connection => {
    await connection.done()
    await connection.send(responseHead('200 OK', 'Content-Length: 100000000'))
    await connection.send(Buffer.alloc(100_000_000))
  })
  const { port } = await startProxyTo(t, server.url, { stallTimeoutMs: SHORT_MS })
  const connection = await connectTo(port)
  connection.socket.pause()
  await connection.send(requestHead('GET /x HTTP/1.1'))
  while (server.connections.length === 0) await delay(1)
  await server.connections[0]!.closed()
  connection.socket.resume()
  await connection.closed()
  t.equal(connection.reader.complete, false)
})

for (const [name, waits, ...lines] of [
  ['a GET of a stream', true, 'GET /stream/a HTTP/1.1', 'Accept: application/json, Text/Event-Stream;q=0.9'],
  ['a GET of a legacy stream', true, 'GET /a/sse HTTP/1.1', 'Accept: text/event-stream'],
  ['a POST that listens', true, 'POST /stream/a HTTP/1.1', 'Mcp-Method: subscriptions/listen'],
  ['another GET', false, 'GET /stream/a HTTP/1.1', 'Accept: application/json'],
  ['a call', false, 'POST /stream/a HTTP/1.1', 'Accept: application/json, text/event-stream']
] as const) {
  await test(`the head of the response to ${name} ${waits ? 'may come late' : 'has a deadline'}`, async t => {
    const { client, upstream } = await startExchange(t, {
      line: lines[0],
      fields: [...lines.slice(1), 'Content-Length: 0'],
      options: { upstreamTimeoutMs: SHORT_MS }
    })
    if (!waits) {
      await client.done()
      return t.equal(client.reader.head?.startLine, 'HTTP/1.1 504 Gateway Timeout')
    }
    await delay(SHORT_MS * 3)
    await upstream.send(responseHead('200 OK', 'Content-Type: text/event-stream') + 'data: 1\n\n')
    await client.bodyText('data: 1')
    t.equal(client.reader.head?.startLine, 'HTTP/1.1 200 OK')
  })
}

await test('a call on a connection that had a stream has its deadline', async t => {
  const server = await startUpstream(t, async connection => {
    await connection.done()
    connection.next()
    await delay(SHORT_MS * 2)
    await connection.send(responseHead('200 OK', 'Content-Type: text/event-stream', 'Content-Length: 0'))
  })
  const { port } = await startProxyTo(t, server.url, { upstreamTimeoutMs: SHORT_MS })
  const client = await connectTo(port)
  for (const [line, startLine] of [
    ['GET /stream/a HTTP/1.1', 'HTTP/1.1 200 OK'],
    ['POST /stream/a HTTP/1.1', 'HTTP/1.1 504 Gateway Timeout']
  ] as const) {
    client.next()
    await client.send(requestHead(line, 'Accept: text/event-stream', 'Content-Length: 0'))
    await client.done()
    t.equal(client.reader.head?.startLine, startLine)
  }
  t.equal(server.connections.length, 1)
})

await test('a stream that waits for an event is no stall', async t => {
  let arrived: (connection: RawConnection) => void
  const connected = new Promise<RawConnection>(resolve => (arrived = resolve))
  const server = await startUpstream(t, connection => arrived(connection))
  const { port } = await startProxyTo(t, server.url, {
    stallTimeoutMs: SHORT_MS,
    keepAliveTimeoutMs: SHORT_MS,
    headTimeoutMs: SHORT_MS
  })
  const connection = await connectTo(port)
  t.teardown(() => connection.socket.destroy())
  await connection.send(requestHead('GET /stream/a HTTP/1.1', 'Accept: text/event-stream'))
  const upstream = await connected
  await upstream.done()
  await delay(SHORT_MS * 3)
  await upstream.send(responseHead('200 OK', 'Content-Type: text/event-stream', 'Transfer-Encoding: chunked'))
  await connection.head()
  await delay(SHORT_MS * 3)
  await upstream.send('7\r\ndata: 1\r\n')
  await connection.bodyText('data: 1')
  t.equal(connection.ended, undefined)
})
