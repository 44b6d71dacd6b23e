// Owns the responses that the proxy makes when the upstream gives none: 502, 504 and 400, each to be found in the log.
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test, type Test } from 'tap'
import type { ProxyOptions } from '../../../src/proxy/proxy-server.js'
import { responseHead, startProxyTo, requestHead, startUpstream } from '../../support/proxy-under-test.js'
import { connectTo, type RawConnection } from '../../support/raw-http.js'

interface ErrorBody {
  jsonrpc: string
  id: null
  error: { code: number; message: string; data: { requestId: string } }
}

async function closedPort(): Promise<URL> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  server.close()
  await once(server, 'close')
  return new URL(`http://127.0.0.1:${port}`)
}

/** Sends a POST and checks the whole error response; the connection must serve another request after it. */
async function expectError(
  t: Test,
  upstream: URL,
  status: string,
  options: Partial<ProxyOptions> = {}
): Promise<void> {
  const { port, logs, observations } = await startProxyTo(t, upstream, options)
  const client = await connectTo(port)
  t.teardown(() => client.socket.destroy())
  for (let i = 0; i < 2; i++) {
    await client.send(requestHead('POST /stream/a?sessionId=secret HTTP/1.1', 'Content-Length: 2') + '{}')
    await client.done()
    t.equal(client.reader.head?.startLine, `HTTP/1.1 ${status}`)
    t.equal(client.reader.value('content-type'), 'application/json')
    const body = JSON.parse(client.reader.text()) as ErrorBody
    t.match(body, { jsonrpc: '2.0', id: null, error: { code: -32000 } })
    const { requestId } = body.error.data
    t.ok(body.error.message.includes(requestId))
    const lines = logs.filter(line => line['requestId'] === requestId)
    t.match(lines, [{ level: 40, method: 'POST', path: '/stream/a', status: Number(status.slice(0, 3)) }])
    t.ok(String(lines[0]?.['reason']).length > 0, String(lines[0]?.['reason']))
    t.notOk(JSON.stringify(logs).includes('secret'), 'no session id in the log')
    client.next()
  }
  t.same(observations, [])
}

await test('502 where nobody listens', async t => {
  await expectError(t, await closedPort(), '502 Bad Gateway')
})

await test('502 where a host of several addresses has nobody listening', async t => {
  const { port } = await closedPort()
  await expectError(t, new URL(`http://localhost:${port}`), '502 Bad Gateway')
})

await test('502 for a host that does not exist', async t => {
  await expectError(t, new URL('http://host.invalid'), '502 Bad Gateway')
})

const badAnswers: Record<string, string> = {
  'a response that is not HTTP': 'SSH-2.0-OpenSSH_9.2\r\n',
  'a response with a length and chunks':
    responseHead('200 OK', 'Content-Length: 3', 'Transfer-Encoding: chunked') + '3\r\nabc\r\n0\r\n\r\n',
  'a response with two lengths': responseHead('200 OK', 'Content-Length: 3', 'Content-Length: 4') + 'abcd',
  'a response with a length that is none': responseHead('200 OK', 'Content-Length: +3') + 'abc',
  'a response in another transfer coding':
    responseHead('200 OK', 'Transfer-Encoding: gzip, chunked') + '0\r\n\r\n',
  'a response with a control character in a header': responseHead(
    '200 OK',
    'X-A: a\x01b',
    'Content-Length: 0'
  ),
  'a response with a space in a header name': responseHead('200 OK', 'X A: b', 'Content-Length: 0'),
  'a response with a header that is too long': responseHead(
    '200 OK',
    `X-A: ${'a'.repeat(70_000)}`,
    'Content-Length: 0'
  ),
  'a switch of protocols nobody asked for': responseHead(
    '101 Switching Protocols',
    'Connection: Upgrade',
    'Upgrade: x'
  ),
  'a bare switch of protocols':
    responseHead('101 Switching Protocols') + responseHead('200 OK', 'Content-Length: 0')
}

for (const [name, bytes] of Object.entries(badAnswers)) {
  await test(`502 for ${name}`, async t => {
    const server = await startUpstream(t, async connection => {
      await connection.done()
      await connection.send(bytes)
    })
    await expectError(t, server.url, '502 Bad Gateway')
  })
}

for (const how of ['end', 'resetAndDestroy'] as const) {
  await test(`502 for an upstream that leaves before its response (${how})`, async t => {
    const server = await startUpstream(t, async connection => {
      await connection.done()
      connection.socket[how]()
    })
    await expectError(t, server.url, '502 Bad Gateway')
  })
}

await test('504 where the headers of the response take too long', async t => {
  const left: Promise<void>[] = []
  const server = await startUpstream(t, connection => void left.push(connection.closed()))
  await expectError(t, server.url, '504 Gateway Timeout', { upstreamTimeoutMs: 100 })
  await Promise.all(left)
  t.equal(left.length, 2, 'the request upstream is ended')
})

await test('no limit on a body or a stream, nor on a slow upload', async t => {
  let began: (connection: RawConnection) => void
  const connected = new Promise<RawConnection>(resolve => (began = resolve))
  const server = await startUpstream(t, connection => began(connection))
  const { port } = await startProxyTo(t, server.url, { upstreamTimeoutMs: 100 })
  const client = await connectTo(port)
  t.teardown(() => client.socket.destroy())
  await client.send(requestHead('POST /x HTTP/1.1', 'Content-Length: 2') + 'a')
  const upstream = await connected
  await new Promise(resolve => setTimeout(resolve, 400))
  await client.send('b')
  await upstream.done()
  await upstream.send(responseHead('200 OK', 'Content-Length: 2') + 'a')
  await client.bodyText('a')
  await new Promise(resolve => setTimeout(resolve, 400))
  await upstream.send('b')
  await client.done()
  t.equal(client.reader.text(), 'ab')
})

await test('an error response to HEAD has no body, and one to an unfinished upload arrives', async t => {
  const { port } = await startProxyTo(t, await closedPort())
  const head = await connectTo(port, 'HEAD')
  await head.send(requestHead('HEAD /x HTTP/1.1'))
  await head.done()
  t.equal(head.reader.head?.startLine, 'HTTP/1.1 502 Bad Gateway')
  head.next()
  await head.send(requestHead('GET /x HTTP/1.1'))
  await head.done()
  t.equal(head.reader.head?.startLine, 'HTTP/1.1 502 Bad Gateway')
  head.socket.destroy()
  const upload = await connectTo(port)
  await upload.send(requestHead('POST /x HTTP/1.1', 'Content-Length: 1000000') + 'abc')
  await upload.done()
  t.equal(upload.reader.head?.startLine, 'HTTP/1.1 502 Bad Gateway')
  upload.socket.destroy()
})

await test('an upstream that comes back is used at once', async t => {
  let script = (connection: RawConnection): void => void connection.socket.destroy()
  const server = await startUpstream(t, connection => script(connection))
  const { port } = await startProxyTo(t, server.url)
  const client = await connectTo(port)
  t.teardown(() => client.socket.destroy())
  await client.send(requestHead('GET /x HTTP/1.1'))
  await client.done()
  t.equal(client.reader.head?.startLine, 'HTTP/1.1 502 Bad Gateway')
  script = connection =>
    void connection.done().then(() => connection.send(responseHead('200 OK', 'Content-Length: 0')))
  client.next()
  await client.send(requestHead('GET /x HTTP/1.1'))
  await client.done()
  t.equal(client.reader.head?.startLine, 'HTTP/1.1 200 OK')
})
