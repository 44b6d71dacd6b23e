// Owns how long an idle connection to the upstream is used: not up to the moment at which the upstream closes it.
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { test, type Test } from 'tap'
import {
  type ProxyTestOptions,
  requestHead,
  responseHead,
  startProxyTo,
  startUpstream
} from '../../support/proxy-under-test.js'
import { connectTo, type RawConnection, serveRaw, serveResponses } from '../../support/raw-http.js'

/** Sends a request after each of these pauses, the first at once; how many connections the upstream got. */
async function connectionsFor(
  t: Test,
  fields: string[],
  pausesMs: number[],
  options: ProxyTestOptions = {},
  script?: (connection: RawConnection) => Promise<void>
): Promise<number> {
  const respond = (): string => responseHead('200 OK', 'Content-Length: 2', ...fields) + 'ok'
  const server = await (script ? serveRaw(script) : serveResponses(respond))
  t.teardown(() => server.close())
  const { port } = await startProxyTo(t, server.url, options)
  const client = await connectTo(port)
  t.teardown(() => client.socket.destroy())
  for (const pauseMs of [0, ...pausesMs]) {
    if (pauseMs > 0) await sleep(pauseMs)
    client.next()
    await client.send(requestHead('GET /x HTTP/1.1'))
    await client.done()
    t.equal(client.reader.text(), 'ok')
  }
  return server.connections.length
}

await test('a connection is used again within the time that the upstream names', async t => {
  t.equal(await connectionsFor(t, ['Keep-Alive: timeout=2'], [100]), 1)
  t.equal(await connectionsFor(t, ['Keep-Alive: timeout=60, max=100'], [100]), 1)
})

await test('not in the last second of it', async t => {
  t.equal(await connectionsFor(t, ['Keep-Alive: timeout=2'], [1_100]), 2)
  t.equal(await connectionsFor(t, ['Keep-Alive: timeout=1'], [0]), 2)
})

await test('the time that the upstream names goes before that of the setting, which goes for all others', async t => {
  const options = { upstreamKeepAliveMs: 300 }
  t.equal(await connectionsFor(t, ['Keep-Alive: timeout=60'], [1_000], options), 1)
  t.equal(await connectionsFor(t, [], [100], options), 1)
  t.equal(await connectionsFor(t, [], [400], options), 2)
  t.equal(await connectionsFor(t, [], [0], { upstreamKeepAliveMs: 0 }), 2)
})

await test('until one has lived longer, a connection is not used up to the two seconds of gunicorn', async t => {
  // The first one shows that the upstream leaves it open for as long as the setting says; the second one is used then.
  t.equal(await connectionsFor(t, [], [1_100, 1_900], { upstreamKeepAliveMs: 2_200 }), 2)
})

await test('an upstream that closes early is noticed: no request comes near that time', async t => {
  const closeEarly = async (connection: RawConnection): Promise<void> => {
    for (;;) {
      await connection.done()
      if (!connection.reader.complete) return
      connection.next()
      await connection.send(responseHead('200 OK', 'Content-Length: 2') + 'ok')
      const timer = setTimeout(() => connection.socket.destroy(), 600)
      connection.socket.once('data', () => clearTimeout(timer))
    }
  }
  t.equal(await connectionsFor(t, [], [800, 400, 100], {}, closeEarly), 3, 'the last one is used again')
})

await test('an idle connection is closed before the upstream does it', async t => {
  const server = await serveResponses(() =>
    responseHead('200 OK', 'Keep-Alive: timeout=2', 'Content-Length: 0')
  )
  t.teardown(() => server.close())
  const { port } = await startProxyTo(t, server.url)
  const client = await connectTo(port)
  t.teardown(() => client.socket.destroy())
  await client.send(requestHead('GET /x HTTP/1.1'))
  await client.done()
  const answeredMs = performance.now()
  await server.connections[0]!.closed()
  const idleMs = performance.now() - answeredMs
  t.ok(idleMs > 900 && idleMs < 2_000, `closed after ${idleMs} ms`)
})

for (const [status, field] of [
  ['204 No Content', 'Transfer-Encoding: chunked'],
  ['304 Not Modified', 'Transfer-Encoding: chunked'],
  ['204 No Content', 'Content-Length: 5'],
  ['204 No Content', 'X-Framing: none']
] as const) {
  await test(`a body that comes late behind ${status} with ${field} harms no other request`, async t => {
    let late = (): void => undefined
    const server = await startUpstream(t, async connection => {
      await connection.done()
      const isFirst = connection.reader.head?.startLine.includes('/first') === true
      connection.next()
      if (!isFirst) return connection.send(responseHead('200 OK', 'Content-Length: 2') + 'ok')
      late = () => void connection.send('0\r\n\r\n')
      return connection.send(responseHead(status, field))
    })
    const { port } = await startProxyTo(t, server.url)
    const client = await connectTo(port)
    t.teardown(() => client.socket.destroy())
    await client.send(requestHead('GET /first HTTP/1.1'))
    await client.done()
    t.equal(client.reader.head?.startLine, `HTTP/1.1 ${status}`)
    client.next()
    const answered = once(client.socket, 'data')
    await client.send(requestHead('GET /second HTTP/1.1'))
    late()
    await answered
    await client.done()
    t.equal(client.reader.head?.startLine, 'HTTP/1.1 200 OK')
    t.equal(server.connections.length, 2)
  })
}

await test('a connection is used again once no body came behind a 204', async t => {
  const server = await serveResponses(() => responseHead('204 No Content'))
  t.teardown(() => server.close())
  const { port } = await startProxyTo(t, server.url)
  const client = await connectTo(port)
  t.teardown(() => client.socket.destroy())
  for (const connections of [1, 2, 2]) {
    client.next()
    await client.send(requestHead('GET /x HTTP/1.1'))
    await client.done()
    t.equal(server.connections.length, connections)
    if (connections === 2) await sleep(600)
  }
})
