// Owns how long an idle connection to the upstream is used: not up to the moment at which the upstream closes it.
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import { requestHead, responseHead, startProxyTo, startUpstream } from '../../support/proxy-under-test.js'
import { connectTo, serveResponses } from '../../support/raw-http.js'

async function connectionsFor(t: Parameters<typeof startProxyTo>[0], fields: string[], pauseMs: number) {
  const server = await serveResponses(() => responseHead('200 OK', 'Content-Length: 2', ...fields) + 'ok')
  t.teardown(() => server.close())
  const { port } = await startProxyTo(t, server.url)
  const client = await connectTo(port)
  t.teardown(() => client.socket.destroy())
  for (let i = 0; i < 2; i++) {
    if (i > 0) await sleep(pauseMs)
    client.next()
    await client.send(requestHead('GET /x HTTP/1.1'))
    await client.done()
    t.equal(client.reader.text(), 'ok')
  }
  return server.connections.length
}

await test('a connection is used again within the time that the upstream names', async t => {
  t.equal(await connectionsFor(t, ['Keep-Alive: timeout=2'], 100), 1)
  t.equal(await connectionsFor(t, ['Keep-Alive: timeout=60, max=100'], 100), 1)
})

await test('not in the last second of it', async t => {
  t.equal(await connectionsFor(t, ['Keep-Alive: timeout=2'], 1_100), 2)
  t.equal(await connectionsFor(t, ['Keep-Alive: timeout=1'], 0), 2)
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
  ['204 No Content', 'Content-Length: 5']
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
