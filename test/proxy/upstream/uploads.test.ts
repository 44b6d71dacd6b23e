// Owns responses that come before the upload they answer is complete: they reach the client, and nothing hangs.
import { test } from 'tap'
import { responseHead, startProxyTo, requestHead, startUpstream } from '../../support/proxy-under-test.js'
import { connectTo } from '../../support/raw-http.js'

const tooLarge = responseHead('413 Content Too Large', 'Content-Length: 5') + 'large'

for (const framing of ['Content-Length: 10000000', 'Transfer-Encoding: chunked']) {
  await test(`a whole response to an unfinished upload, ${framing}`, async t => {
    const server = await startUpstream(t, async connection => {
      await connection.bodyText('abc')
      await connection.send(tooLarge)
    })
    const { port } = await startProxyTo(t, server.url)
    const client = await connectTo(port)
    t.teardown(() => client.socket.destroy())
    await client.send(requestHead('POST /x HTTP/1.1', framing) + '3\r\nabc\r\n')
    await client.done()
    t.equal(client.reader.text(), 'large')
    t.equal(client.ended, undefined, 'the client may go on sending')
  })
}

await test('a rest of up to 1 MiB is read, and the connection serves the next request', async t => {
  let uploads = 0
  const server = await startUpstream(t, async connection => {
    await connection.head()
    if (connection.reader.value('content-length') !== undefined) uploads++
    await connection.send(
      connection.reader.value('content-length') ? tooLarge : responseHead('200 OK', 'Content-Length: 0')
    )
  })
  const { port } = await startProxyTo(t, server.url)
  const client = await connectTo(port)
  t.teardown(() => client.socket.destroy())
  const body = Buffer.alloc(1_000_000, 'x')
  await client.send(requestHead('POST /x HTTP/1.1', `Content-Length: ${body.length}`) + 'x')
  await client.done()
  client.next()
  await client.send(body.subarray(1))
  await client.send(requestHead('GET /y HTTP/1.1'))
  await client.done()
  t.equal(client.reader.head?.startLine, 'HTTP/1.1 200 OK')
  t.equal(uploads, 1)
})

await test('an upstream that answers and closes without reading the rest', async t => {
  const server = await startUpstream(t, async connection => {
    await connection.bodyText('x')
    connection.socket.pause()
    await connection.send(
      responseHead('413 Content Too Large', 'Connection: close', 'Content-Length: 5') + 'large'
    )
    connection.socket.destroy()
  })
  const { port } = await startProxyTo(t, server.url)
  for (let i = 0; i < 20; i++) {
    const client = await connectTo(port)
    await client.send(requestHead('POST /x HTTP/1.1', 'Content-Length: 100000') + 'x')
    await client.done()
    t.equal(client.reader.text(), 'large')
    client.socket.destroy()
  }
})

await test('a client that leaves its upload ends the request upstream', async t => {
  const server = await startUpstream(t, async connection => {
    await connection.bodyText('abc')
    arrived()
    await connection.closed()
    ended()
  })
  let arrived: () => void
  let ended: () => void
  const began = new Promise<void>(resolve => (arrived = resolve))
  const broke = new Promise<void>(resolve => (ended = resolve))
  const { port } = await startProxyTo(t, server.url)
  const client = await connectTo(port)
  await client.send(requestHead('POST /x HTTP/1.1', 'Transfer-Encoding: chunked') + '3\r\nabc\r\n')
  await began
  client.socket.destroy()
  await broke
  t.equal(server.connections[0]?.reader.complete, false)
})

await test('504 where the upstream reads no more of an upload', async t => {
  const server = await startUpstream(t, async connection => {
    await connection.head()
    connection.socket.pause()
  })
  const { port } = await startProxyTo(t, server.url, { upstreamTimeoutMs: 500 })
  const client = await connectTo(port)
  t.teardown(() => client.socket.destroy())
  void client.send(requestHead('POST /x HTTP/1.1', 'Transfer-Encoding: chunked'))
  const part = Buffer.alloc(65_536, 'x')
  const sending = setInterval(() => {
    if (!client.socket.writableNeedDrain)
      void client.send(Buffer.concat([Buffer.from('10000\r\n'), part, Buffer.from('\r\n')]))
  }, 1)
  t.teardown(() => clearInterval(sending))
  await client.done()
  t.equal(client.reader.head?.startLine, 'HTTP/1.1 504 Gateway Timeout')
})
