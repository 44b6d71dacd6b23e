// Owns what a closing proxy does with streams: one that its client opens again ends at once and whole, all others have time.
import { once } from 'node:events'
import { test, type Test } from 'tap'
import { requestHead, responseHead, startExchange, startProxyTo } from '../support/proxy-under-test.js'
import { connectTo, type RawConnection, serveResponses } from '../support/raw-http.js'

const streamHead = responseHead('200 OK', 'Content-Type: text/event-stream', 'Transfer-Encoding: chunked')
const event = '9\r\ndata: 1\n\n\r\n'
const graceMs = 60_000

/** A stream whose first event the client has. */
async function openStream(t: Test, line: string) {
  const exchange = await startExchange(t, { line, fields: ['Mcp-Session-Id: s', 'Content-Length: 0'] })
  await exchange.upstream.send(streamHead + event)
  await exchange.client.bodyText('data: 1')
  return exchange
}

const isOver = (client: RawConnection): boolean => client.reader.complete || client.ended !== undefined

await test('the GET stream of a session ends at once, whole, and so do its connections', async t => {
  const { proxy, client, upstream, observations } = await openStream(t, 'GET /stream/a HTTP/1.1')
  const closed = proxy.close(graceMs)
  await client.done()
  t.equal(client.reader.complete, true)
  await client.closed()
  t.equal(client.ended, 'fin')
  await upstream.closed()
  await closed
  t.notMatch(observations, [{ kind: 'upstream-ended' }], 'no doubt about the session')
})

await test('its connection still takes the request that its client is just sending', async t => {
  const server = await serveResponses(({ head }) =>
    head!.startLine.startsWith('GET') ? streamHead + event : responseHead('202 Accepted', 'Content-Length: 0')
  )
  t.teardown(() => server.close())
  const { proxy, port } = await startProxyTo(t, server.url)
  const client = await connectTo(port)
  t.teardown(() => client.socket.destroy())
  await client.send(requestHead('GET /stream/a HTTP/1.1', 'Mcp-Session-Id: s'))
  await client.bodyText('data: 1')
  const closed = proxy.close(graceMs)
  await client.done()
  t.equal(client.reader.complete, true)
  client.next('POST')
  await client.send(requestHead('POST /stream/a HTTP/1.1', 'Mcp-Session-Id: s', 'Content-Length: 0'))
  await client.done()
  t.match(client.reader.head, { startLine: 'HTTP/1.1 202 Accepted' })
  t.equal(client.reader.value('connection'), 'close')
  await closed
})

for (const line of ['POST /stream/a HTTP/1.1', 'GET /a/sse HTTP/1.1', 'GET /other HTTP/1.1']) {
  await test(`the stream of ${line} goes on`, async t => {
    const { proxy, client, upstream } = await openStream(t, line)
    const closed = proxy.close(graceMs)
    await upstream.send(event)
    await client.until(connection => connection.reader.body.length === 2 || isOver(connection))
    t.equal(isOver(client), false)
    await upstream.send('0\r\n\r\n')
    await client.done()
    t.equal(client.reader.complete, true)
    await closed
  })
}

await test('a stream whose response begins while the proxy closes ends at once, too', async t => {
  const { proxy, client, upstream } = await startExchange(t, { fields: ['Mcp-Session-Id: s'] })
  const closed = proxy.close(graceMs)
  await upstream.send(streamHead)
  await client.done()
  t.match(client.reader.head, { startLine: 'HTTP/1.1 200 OK' })
  t.equal(client.reader.value('connection'), 'close')
  t.equal(client.reader.complete, true)
  await closed
})

await test('a stream that is asked for while the proxy closes ends at once, too', async t => {
  const { proxy, client, upstream } = await startExchange(t, { line: 'GET /other HTTP/1.1' })
  await upstream.send(responseHead('200 OK', 'Content-Length: 0'))
  await client.done()
  upstream.next()
  client.next()
  const closed = proxy.close(graceMs)
  await client.send(requestHead('GET /stream/a HTTP/1.1', 'Mcp-Session-Id: s'))
  await once(upstream.socket, 'data')
  await upstream.send(streamHead)
  await client.done()
  t.equal(client.reader.complete, true)
  await closed
})
