// Owns how long the proxy waits for clients: for heads, bodies, the next request, and those that do not read.
import { setTimeout as delay } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { responseHead, startProxyTo, requestHead, startUpstream } from '../../support/proxy-under-test.js'
import { connectTo, serveResponses, type RawConnection } from '../../support/raw-http.js'

const SHORT_MS = 200
const ok = responseHead('200 OK', 'Content-Length: 2') + 'ok'

/** Sends a byte at a time, well within any timeout between two, until the connection ends. */
async function drip(wire: RawConnection, byte = 'a'): Promise<void> {
  while (wire.ended === undefined) {
    await wire.send(byte)
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
    const wire = await connectTo(port)
    if (sent !== '') await wire.send(sent)
    await Promise.all([then(wire), wire.closed()])
    t.match(wire.reader.head?.startLine, /^(HTTP\/1.1 408 Request Timeout)?$/)
  })
}

await test('slowloris: a head that stops behind a whole request', async t => {
  const { port } = await startProxyTo(t, await okServer(t), { headTimeoutMs: SHORT_MS })
  const wire = await connectTo(port)
  await wire.send(requestHead('GET /x HTTP/1.1'))
  await wire.done()
  t.equal(wire.reader.text(), 'ok')
  wire.next()
  await wire.send('GET /y HTTP/1.1\r\nHost')
  await wire.closed()
  t.equal(wire.reader.head?.startLine, 'HTTP/1.1 408 Request Timeout')
})

await test('a connection without a next request is closed', async t => {
  const { port } = await startProxyTo(t, await okServer(t), { keepAliveTimeoutMs: SHORT_MS })
  const wire = await connectTo(port)
  await wire.send(requestHead('GET /x HTTP/1.1'))
  await wire.done()
  await wire.closed()
  t.equal(wire.ended, 'fin')
})

for (const framing of ['Content-Length: 1000', 'Transfer-Encoding: chunked']) {
  await test(`a body that stops, ${framing}`, async t => {
    let began: (wire: RawConnection) => void
    const connected = new Promise<RawConnection>(resolve => (began = resolve))
    const server = await startUpstream(t, wire => began(wire))
    const { port, logs } = await startProxyTo(t, server.url, { stallTimeoutMs: SHORT_MS })
    const wire = await connectTo(port)
    await wire.send(requestHead('POST /x HTTP/1.1', framing) + '3\r\nabc\r\n')
    const upstream = await connected
    await wire.closed()
    t.equal(wire.reader.head?.startLine, 'HTTP/1.1 408 Request Timeout')
    await upstream.closed()
    t.equal(upstream.reader.complete, false)
    t.same(logs, [])
  })
}

await test('a body that stops when its response is out already', async t => {
  const server = await startUpstream(t, async wire => {
    await wire.bodyText('abc')
    await wire.send(responseHead('413 Content Too Large', 'Content-Length: 0'))
  })
  const { port } = await startProxyTo(t, server.url, { stallTimeoutMs: SHORT_MS })
  const wire = await connectTo(port)
  await wire.send(requestHead('POST /x HTTP/1.1', 'Content-Length: 1000') + 'abc')
  await wire.done()
  t.equal(wire.reader.head?.startLine, 'HTTP/1.1 413 Content Too Large')
  wire.next()
  await wire.closed()
  t.match(wire.reader.head?.startLine, /^(HTTP\/1.1 408 Request Timeout)?$/)
})

await test('a body that comes slowly, and one that the upstream reads slowly, are no stalls', async t => {
  let arrived: (wire: RawConnection) => void
  const connected = new Promise<RawConnection>(resolve => (arrived = resolve))
  const server = await startUpstream(t, wire => {
    wire.socket.pause()
    arrived(wire)
  })
  const { port } = await startProxyTo(t, server.url, { stallTimeoutMs: SHORT_MS })
  const wire = await connectTo(port)
  const length = 32 * 1024 * 1024
  await wire.send(requestHead('POST /x HTTP/1.1', `Content-Length: ${length}`))
  const upstream = await connected
  for (let i = 0; i < 10; i++) {
    await wire.send('x')
    await delay(SHORT_MS / 2)
  }
  const rest = wire.send(Buffer.alloc(length - 10, 'x'))
  await delay(SHORT_MS * 4)
  t.equal(wire.ended, undefined)
  upstream.socket.resume()
  await rest
  await upstream.done()
  await upstream.send(ok)
  await wire.done()
  t.equal(wire.reader.text(), 'ok')
})

await test('a response that is not read', async t => {
  const server = await startUpstream(t, async wire => {
    await wire.done()
    await wire.send(responseHead('200 OK', 'Content-Length: 100000000'))
    await wire.send(Buffer.alloc(100_000_000))
  })
  const { port } = await startProxyTo(t, server.url, { stallTimeoutMs: SHORT_MS })
  const wire = await connectTo(port)
  wire.socket.pause()
  await wire.send(requestHead('GET /x HTTP/1.1'))
  while (server.connections.length === 0) await delay(1)
  await server.connections[0]!.closed()
  wire.socket.resume()
  await wire.closed()
  t.equal(wire.reader.complete, false)
})

await test('a stream that waits for an event is no stall', async t => {
  let arrived: (wire: RawConnection) => void
  const connected = new Promise<RawConnection>(resolve => (arrived = resolve))
  const server = await startUpstream(t, wire => arrived(wire))
  const { port } = await startProxyTo(t, server.url, {
    stallTimeoutMs: SHORT_MS,
    keepAliveTimeoutMs: SHORT_MS,
    headTimeoutMs: SHORT_MS
  })
  const wire = await connectTo(port)
  t.teardown(() => wire.socket.destroy())
  await wire.send(requestHead('GET /stream/a HTTP/1.1', 'Accept: text/event-stream'))
  const upstream = await connected
  await upstream.done()
  await delay(SHORT_MS * 3)
  await upstream.send(responseHead('200 OK', 'Content-Type: text/event-stream', 'Transfer-Encoding: chunked'))
  await wire.head()
  await delay(SHORT_MS * 3)
  await upstream.send('7\r\ndata: 1\r\n')
  await wire.bodyText('data: 1')
  t.equal(wire.ended, undefined)
})
