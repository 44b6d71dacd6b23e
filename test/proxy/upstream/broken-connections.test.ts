// Owns connections to the upstream that broke: no other request is sent on one, and none waits on one for ever.
import { setTimeout } from 'node:timers/promises'
import { test } from 'tap'
import { ConnectionPool } from '../../../src/proxy/upstream/connection-pool.js'
import { Connection } from '../../../src/proxy/upstream/connection.js'
import { DelayedAckDetector } from '../../../src/proxy/upstream/delayed-acks.js'
import {
  responseHead,
  exchangeOn,
  startProxyTo,
  requestHead,
  startUpstream
} from '../../support/proxy-under-test.js'
import { connectTo, serveResponses, type RawConnection } from '../../support/raw-http.js'

const options = {
  delayedAcks: new DelayedAckDetector(() => undefined),
  connectTimeoutMs: 5_000,
  upstreamTimeoutMs: 0,
  upstreamKeepAliveMs: 4_000
}

for (const when of ['while it is idle', 'before it is given back']) {
  await test(`a connection that ended ${when} is not taken again`, async t => {
    const server = await serveResponses(() => responseHead('200 OK', 'Content-Length: 0'))
    t.teardown(() => server.close())
    const connections = new ConnectionPool({ ...options, upstream: server.url })
    t.teardown(() => connections.close())
    const connection = connections.take()
    await exchangeOn(connection)
    if (when === 'while it is idle') {
      connections.release(connection)
      connection.destroy()
    } else {
      connection.destroy()
      connections.release(connection)
    }
    t.equal(connections.idle, 0)
    const next = connections.take()
    t.teardown(() => next.destroy())
    t.not(next, connection)
  })
}

await test('a request on a connection that is gone fails', async t => {
  const server = await serveResponses(() => responseHead('200 OK', 'Content-Length: 0'))
  t.teardown(() => server.close())
  const connection = new Connection(
    { ...options, upstream: server.url, census: { open: 0, opened: 0 } },
    () => undefined
  )
  await exchangeOn(connection)
  connection.destroy()
  await t.rejects(exchangeOn(connection))
})

await test('a DELETE whose client left takes no other request along', async t => {
  const server = await startUpstream(t, async connection => {
    await connection.done()
    if (connection.reader.head?.startLine.startsWith('GET'))
      await connection.send(responseHead('200 OK', 'Content-Length: 0'))
  })
  const { port, observations } = await startProxyTo(t, server.url)
  const [client, other] = await Promise.all([connectTo(port), connectTo(port)])
  t.teardown(() => other.socket.destroy())
  await client.send(requestHead('DELETE /stream/a HTTP/1.1', 'Mcp-Session-Id: s'))
  while (server.connections.length === 0) await setTimeout(1)
  const [upstream] = server.connections
  await upstream!.done()
  client.socket.destroy()
  await client.closed()
  await setTimeout(50)
  // The proxy finds both at once.
  upstream!.socket.write(responseHead('202 Accepted', 'Content-Length: 0'))
  other.socket.write(requestHead('GET /x HTTP/1.1'))
  await other.done()
  t.equal(other.reader.head?.startLine, 'HTTP/1.1 200 OK')
  t.match(observations, [{ method: 'DELETE', status: 202, sessionId: 's' }])
})

await test('connections that the upstream resets while requests come are not used', async t => {
  const COUNT = 10
  const ok = responseHead('200 OK', 'Content-Length: 2') + 'ok'
  const first: RawConnection[] = []
  const server = await startUpstream(t, async connection => {
    for (;;) {
      await connection.done()
      if (!connection.reader.complete) return
      const isFirst = connection.reader.head?.startLine.includes('/first') === true
      connection.next()
      if (!isFirst) await connection.send(ok)
      else if (first.push(connection) === COUNT) await Promise.all(first.map(each => each.send(ok)))
    }
  })
  const { port } = await startProxyTo(t, server.url)
  const clients = await Promise.all(Array.from({ length: COUNT }, () => connectTo(port)))
  for (const client of clients) t.teardown(() => client.socket.destroy())
  await Promise.all(clients.map(client => client.send(requestHead('GET /first HTTP/1.1'))))
  await Promise.all(clients.map(client => client.done()))
  for (const { socket } of first) socket.resetAndDestroy()
  for (const client of clients) {
    client.next()
    client.socket.write(requestHead('GET /second HTTP/1.1'))
  }
  await Promise.all(clients.map(client => client.done()))
  t.same(
    clients.filter(({ reader }) => !/ (200|502) /.test(reader.head?.startLine ?? '')),
    []
  )
})
