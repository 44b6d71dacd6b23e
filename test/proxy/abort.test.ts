// Owns what happens when one side leaves: the other side learns of it at once, at every stage of an exchange.
import { setTimeout } from 'node:timers/promises'
import { test } from 'tap'
import {
  startExchange,
  responseHead,
  startProxyTo,
  requestHead,
  startUpstream
} from '../support/proxy-under-test.js'
import { connectTo, type RawConnection } from '../support/raw-http.js'

const stages: Record<string, (upstream: RawConnection, client: RawConnection) => Promise<void>> = {
  'before the head of the response': () => Promise.resolve(),
  'after the head': async (upstream, client) => {
    await upstream.send(responseHead('200 OK', 'Transfer-Encoding: chunked'))
    await client.head()
  },
  'in the body': async (upstream, client) => {
    await upstream.send(responseHead('200 OK', 'Transfer-Encoding: chunked') + '3\r\nabc\r\n')
    await client.bodyText('abc')
  },
  'while the client does not read': async (upstream, client) => {
    await upstream.send(responseHead('200 OK', 'Connection: close'))
    await client.head()
    client.socket.pause()
    for (let sent = 0; sent < 16 && !upstream.socket.writableNeedDrain; sent++) {
      upstream.socket.write(Buffer.alloc(1 << 20))
    }
  }
}

for (const [stage, reach] of Object.entries(stages)) {
  for (const how of ['closes', 'resets']) {
    await test(`a client that ${how} ${stage} ends the request upstream`, async t => {
      const { client, upstream } = await startExchange(t)
      await reach(upstream, client)
      if (how === 'closes') client.socket.destroy()
      else client.socket.resetAndDestroy()
      await upstream.closed()
      t.pass('closed')
    })

    await test(`an upstream that ${how} ${stage} breaks off the response`, async t => {
      const { client, upstream } = await startExchange(t)
      await reach(upstream, client)
      const untilClose = stage === 'while the client does not read'
      if (how === 'closes' && !untilClose) upstream.socket.destroy()
      else upstream.socket.resetAndDestroy()
      client.socket.resume()
      await client.done()
      if (stage === 'before the head of the response') {
        t.equal(client.reader.head?.startLine, 'HTTP/1.1 502 Bad Gateway')
      } else {
        t.equal(client.reader.complete, false)
        t.not(client.ended, undefined)
      }
    })
  }
}

await test('an upstream that resets a response that waits for the client does not end the process', async t => {
  // undici 7.30 fails an assertion here, in an event handler: see connections.ts.
  let arrived: (connection: RawConnection) => void
  const connected = new Promise<RawConnection>(resolve => (arrived = resolve))
  const server = await startUpstream(t, connection => arrived(connection))
  const { port } = await startProxyTo(t, server.url)
  const client = await connectTo(port)
  client.socket.pause()
  await client.send(requestHead('GET /x HTTP/1.1'))
  const upstream = await connected
  await upstream.done()
  // Fills the sockets to the client, and then stays below what the proxy reads ahead, so that it sees the reset.
  await upstream.send(responseHead('200 OK', 'Connection: close', 'Content-Length: 100000000'))
  for (let sent = 0; sent < 100; sent++) {
    const taken = upstream.send(Buffer.alloc(65_536))
    if (!(await Promise.race([taken.then(() => true), setTimeout(100, false)]))) break
  }
  upstream.socket.resetAndDestroy()
  await setTimeout(100)
  client.socket.resume()
  await client.done()
  t.equal(client.reader.complete, false)
})

await test('a DELETE goes on without its client: the session may end upstream', async t => {
  for (const how of ['closes', 'resets'] as const) {
    const { client, upstream, observations } = await startExchange(t, {
      line: 'DELETE /stream/a HTTP/1.1',
      fields: ['Mcp-Session-Id: s']
    })
    if (how === 'closes') client.socket.destroy()
    else client.socket.resetAndDestroy()
    await client.closed()
    await setTimeout(50)
    t.same(observations, [])
    await upstream.send(responseHead('202 Accepted', 'Content-Length: 8') + 'Accepted')
    while (observations.length === 0) await setTimeout(1)
    t.match(observations, [{ method: 'DELETE', status: 202, sessionId: 's' }])
  }
})

await test('a DELETE without its client lasts no longer than the upstream timeout, nor than the proxy', async t => {
  for (const end of ['timeout', 'close'] as const) {
    const upstreamTimeoutMs = end === 'timeout' ? 100 : 0
    const { client, upstream, proxy } = await startExchange(t, {
      line: 'DELETE /stream/a HTTP/1.1',
      fields: ['Mcp-Session-Id: s'],
      options: { upstreamTimeoutMs }
    })
    client.socket.destroy()
    await client.closed()
    if (end === 'close') await proxy.close(50)
    await upstream.closed()
    t.pass(end)
  }
})

await test('a client that leaves while the upstream is being connected to', async t => {
  const server = await startUpstream(t, () => undefined)
  const { port, logs } = await startProxyTo(t, server.url)
  const client = await connectTo(port)
  client.socket.write(requestHead('GET /x HTTP/1.1'))
  client.socket.destroy()
  const next = await connectTo(port)
  await next.send(requestHead('GET /y HTTP/1.1'))
  await Promise.all(server.connections.slice(0, -1).map(connection => connection.closed()))
  t.same(logs, [])
  next.socket.destroy()
})

await test('closing lets requests in flight finish and cuts streams after the grace time', async t => {
  const server = await startUpstream(t, async connection => {
    await connection.done()
    if (connection.reader.head?.startLine.includes('/stream')) {
      await connection.send(responseHead('200 OK', 'Transfer-Encoding: chunked') + '3\r\nabc\r\n')
    } else {
      pending.push(connection)
    }
  })
  const pending: RawConnection[] = []
  const { port, proxy } = await startProxyTo(t, server.url)
  const [stream, slow, idle] = await Promise.all([connectTo(port), connectTo(port), connectTo(port)])
  await stream.send(requestHead('GET /stream/a HTTP/1.1'))
  await stream.bodyText('abc')
  await slow.send(requestHead('POST /x HTTP/1.1', 'Content-Length: 0'))
  while (pending.length === 0) await new Promise(setImmediate)
  const closed = proxy.close(200)
  await pending[0]?.send(responseHead('200 OK', 'Content-Length: 2') + 'ok')
  await slow.done()
  t.equal(slow.reader.text(), 'ok')
  t.equal(slow.reader.value('connection'), 'close')
  t.equal(stream.ended, undefined, 'the stream lives until the grace time is over')
  await closed
  await Promise.all([stream.closed(), idle.closed()])
  t.equal(stream.reader.complete, false)
  await t.rejects(connectTo(port))
})
