// Owns the flow of bodies: each part is passed on at once, and who reads slowly slows down who sends.
import { setTimeout as delay } from 'node:timers/promises'
import { test, type Test } from 'tap'
import {
  responseHead,
  startProxyTo,
  requestHead,
  startUpstream,
  startExchange
} from '../support/proxy-under-test.js'
import { connectTo, type RawConnection } from '../support/raw-http.js'

const streamHead = responseHead('200 OK', 'Content-Type: text/event-stream', 'Transfer-Encoding: chunked')

function chunk(data: string | Buffer): string {
  return `${data.length.toString(16)}\r\n${data.toString('latin1')}\r\n`
}

/** A client and the upstream's end of its connection, after the request and the response's head. */
async function openStream(
  t: Test,
  fields: string[] = []
): Promise<{ client: RawConnection; upstream: RawConnection }> {
  const { client, upstream } = await startExchange(t, { fields })
  await upstream.send(streamHead)
  await client.head()
  return { client, upstream }
}

/** Writes until nothing more is taken for a while; resolves to the number of bytes written. */
async function fill(connection: RawConnection, part: string, limit: number): Promise<number> {
  let written = 0
  while (written < limit) {
    const sent = connection.send(part).then(() => true)
    if (!(await Promise.race([sent, delay(500, false)]))) break
    written += part.length
  }
  return written
}

await test('each event reaches the client before the next is sent', async t => {
  const { client, upstream } = await openStream(t)
  for (let i = 0; i < 100; i++) {
    await upstream.send(chunk(`data: ${i}\n\n`))
    await client.bodyText(`data: ${i}\n\n`)
  }
  await upstream.send('0\r\n\r\n')
  await client.done()
  t.equal(client.reader.complete, true)
})

await test('events in one segment with the head, and the end in another', async t => {
  const { client, upstream } = await openStream(t)
  await upstream.send(chunk('data: 1\n\n') + chunk('data: 2\n\n'))
  await client.bodyText('data: 2\n\n')
  t.equal(client.reader.complete, false)
  await upstream.send('0\r\n\r\n')
  await client.done()
  t.equal(client.reader.text(), 'data: 1\n\ndata: 2\n\n')
})

await test('a client that reads slowly slows down the upstream, and gets everything', async t => {
  const { client, upstream } = await openStream(t)
  client.socket.pause()
  const before = process.memoryUsage().rss
  const part = chunk(Buffer.alloc(65_536, 'x'))
  const limit = 256 * 1024 * 1024
  const written = await fill(upstream, part, limit)
  t.ok(written < 64 * 1024 * 1024, `${written} bytes were taken`)
  t.ok(process.memoryUsage().rss - before < 128 * 1024 * 1024)
  client.socket.resume()
  await upstream.send('0\r\n\r\n')
  await client.done()
  t.equal(client.reader.complete, true)
  const total = client.reader.body.reduce((sum, { length }) => sum + length, 0)
  t.ok(total >= (written / part.length) * 65_536)
})

await test('an upstream that reads slowly slows down the client, and gets everything', async t => {
  let arrived: (connection: RawConnection) => void
  const connected = new Promise<RawConnection>(resolve => (arrived = resolve))
  const server = await startUpstream(t, connection => {
    connection.socket.pause()
    arrived(connection)
  })
  const { port } = await startProxyTo(t, server.url)
  const client = await connectTo(port)
  const part = chunk(Buffer.alloc(65_536, 'x'))
  await client.send(requestHead('POST /x HTTP/1.1', 'Transfer-Encoding: chunked') + chunk('first'))
  const upstream = await connected
  const written = await fill(client, part, 256 * 1024 * 1024)
  t.ok(written < 64 * 1024 * 1024, `${written} bytes were taken`)
  upstream.socket.resume()
  await client.send('0\r\n\r\n')
  await upstream.done()
  t.equal(upstream.reader.complete, true)
  await upstream.send(responseHead('204 No Content'))
  await client.done()
  t.equal(client.reader.head?.startLine, 'HTTP/1.1 204 No Content')
})

await test('pipelined requests are forwarded one after the other, and answered in order', async t => {
  const targets: string[] = []
  const server = await startUpstream(t, async connection => {
    for (;;) {
      await connection.done()
      if (!connection.reader.complete) return
      const target = connection.reader.head?.startLine.split(' ')[1] ?? ''
      targets.push(target)
      connection.next()
      if (target === '/first') await delay(50)
      await connection.send(responseHead('200 OK', `Content-Length: ${target.length}`) + target)
    }
  })
  const { port } = await startProxyTo(t, server.url)
  const client = await connectTo(port)
  t.teardown(() => client.socket.destroy())
  const all = ['/first', '/second', '/third']
  await client.send(all.map(target => requestHead(`GET ${target} HTTP/1.1`)).join(''))
  for (const target of all) {
    await client.done()
    t.equal(client.reader.text(), target)
    client.next()
  }
  t.same(targets, all)
})

await test('no more than a few requests wait behind a response that does not end', async t => {
  const { client, upstream } = await openStream(t)
  await client.send(requestHead('GET /x HTTP/1.1').repeat(1000))
  await client.closed()
  await upstream.closed()
  t.pass('the connection is cut, and with it the stream')
})

await test('connections to the upstream are used again, the last one first', async t => {
  const server = await startUpstream(t, async connection => {
    for (;;) {
      await connection.done()
      if (!connection.reader.complete) return
      connection.next()
      await connection.send(responseHead('200 OK', 'Content-Length: 0'))
    }
  })
  const { port } = await startProxyTo(t, server.url)
  const clients = await Promise.all([1, 2, 3].map(() => connectTo(port)))
  t.teardown(() => clients.forEach(client => client.socket.destroy()))
  for (let round = 0; round < 5; round++) {
    for (const client of clients) {
      await client.send(requestHead('GET /x HTTP/1.1'))
      await client.done()
      client.next()
    }
  }
  t.equal(server.connections.length, 1)
})
