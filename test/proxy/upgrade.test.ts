// Owns upgrades: WebSocket passes through, everything else that asks for an upgrade is answered as a plain request.
import { test, type Test } from 'tap'
import { responseHead, startProxyTo, requestHead, startUpstream } from '../support/proxy-under-test.js'
import { connectTo, serveResponses, type RawServer, type RawConnection } from '../support/raw-http.js'

const ok = responseHead('200 OK', 'Content-Length: 2') + 'ok'

function handshake(...fields: string[]): string {
  return requestHead(
    'GET /chat//a?x=|y HTTP/1.1',
    'Connection: keep-alive, Upgrade',
    'Upgrade: WebSocket',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version: 13',
    ...fields
  )
}

const switching = responseHead(
  '101 Switching Protocols',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
  'Set-Cookie: a=1',
  'Set-Cookie: b=caf\xe9'
)

/** An upstream that switches and then echoes. */
function echo(t: Test): Promise<RawServer> {
  return startUpstream(t, async connection => {
    await connection.done()
    connection.socket.on('data', data => connection.socket.write(data))
    await connection.send(switching)
    if (connection.reader.rest.length > 0) await connection.send(connection.reader.rest)
  })
}

/** A client whose upgrade was accepted; what it receives afterwards is the rest of its reader. */
async function upgraded(t: Test, { port }: { port: number }, bytes = handshake()): Promise<RawConnection> {
  const client = await connectTo(port)
  t.teardown(() => client.socket.destroy())
  await client.send(bytes)
  await client.until(({ reader }) => reader.interim.length === 1)
  return client
}

function received(client: RawConnection): string {
  return client.reader.rest.toString('latin1')
}

await test('a WebSocket passes through in both directions', async t => {
  const server = await echo(t)
  const proxy = await startProxyTo(t, server.url)
  const client = await upgraded(t, proxy)
  const [head] = client.reader.interim
  t.equal(head?.startLine, 'HTTP/1.1 101 Switching Protocols')
  const fields = (head?.fields ?? []).map(field => field.join(': '))
  for (const expected of [
    'connection: Upgrade',
    'upgrade: websocket',
    'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
    'Set-Cookie: a=1',
    'Set-Cookie: b=caf\xe9'
  ]) {
    t.ok(fields.includes(expected), expected)
  }
  for (const frame of ['\x81\x03abc', '\x82\x02\xff\x00', 'x'.repeat(200_000)]) {
    const before = received(client).length
    await client.send(frame)
    await client.until(() => received(client).length === before + frame.length)
    t.equal(received(client).slice(before), frame)
  }
})

await test('the request arrives as it came, with the forwarding headers', async t => {
  const server = await echo(t)
  const proxy = await startProxyTo(t, server.url)
  await upgraded(
    t,
    proxy,
    handshake('Cookie: a', 'Cookie: b', 'X-Hop: 1', 'Connection: x-hop', 'Expect: 100-continue')
  )
  const { reader } = server.connections[0]!
  t.equal(reader.head?.startLine, 'GET /chat//a?x=|y HTTP/1.1')
  const fields = (reader.head?.fields ?? []).map(field => field.join(': '))
  for (const expected of [
    'Host: gateway.example:8080',
    'connection: Upgrade',
    'upgrade: WebSocket',
    'Sec-WebSocket-Version: 13',
    'Cookie: a; b',
    'X-Forwarded-For: 127.0.0.1',
    'Via: 1.1 mcp-turnstile'
  ]) {
    t.ok(fields.includes(expected), expected)
  }
  t.equal(reader.value('x-hop'), undefined)
  t.equal(reader.value('expect'), undefined)
})

await test('rewriteHost and a base path hold for upgrades too', async t => {
  const server = await echo(t)
  const proxy = await startProxyTo(t, new URL('/base/', server.url), { rewriteHost: true })
  await upgraded(t, proxy)
  const { reader } = server.connections[0]!
  t.equal(reader.head?.startLine, 'GET /base/chat//a?x=|y HTTP/1.1')
  t.equal(reader.value('host'), server.url.host)
  t.equal(reader.value('x-forwarded-host'), 'gateway.example:8080')
})

await test('bytes sent together with either head are not lost', async t => {
  const server = await startUpstream(t, async connection => {
    await connection.done()
    await connection.send(switching + 'hello')
    await connection.until(({ reader }) => reader.rest.toString() === 'early')
    await connection.send('seen')
  })
  const proxy = await startProxyTo(t, server.url)
  const client = await upgraded(t, proxy, handshake() + 'early')
  await client.until(() => received(client) === 'helloseen')
  t.pass('both arrived')
})

for (const how of ['end', 'resetAndDestroy'] as const) {
  await test(`one side leaves (${how}), the other is told`, async t => {
    const server = await echo(t)
    const proxy = await startProxyTo(t, server.url)
    const first = await upgraded(t, proxy)
    first.socket[how]()
    await server.connections[0]!.closed()
    const second = await upgraded(t, proxy)
    server.connections[1]!.socket[how]()
    await second.closed()
    t.pass('both closed')
  })
}

await test('an upstream that refuses is heard in full, and the connection ends', async t => {
  for (const refusal of [
    responseHead('426 Upgrade Required', 'X-A: b', 'Content-Length: 2') + 'no',
    responseHead('426 Upgrade Required', 'X-A: b', 'Transfer-Encoding: chunked') +
      '1\r\nn\r\n1\r\no\r\n0\r\n\r\n',
    responseHead('200 OK', 'X-A: b', 'Connection: keep-alive', 'Content-Length: 2') + 'no'
  ]) {
    const server = await serveResponses(() => refusal)
    const { port } = await startProxyTo(t, server.url)
    const client = await connectTo(port)
    await client.send(handshake() + requestHead('GET /hidden HTTP/1.1'))
    await client.closed()
    t.equal(client.reader.head?.startLine, refusal.slice(0, refusal.indexOf('\r\n')))
    t.equal(client.reader.value('x-a'), 'b')
    t.equal(client.reader.value('connection'), 'close')
    t.equal(client.reader.text(), 'no')
    t.equal(server.connections.length, 1)
    await server.close()
  }
})

await test('502, 504 and 400 for upgrades', async t => {
  const server = await startUpstream(t, connection => {
    if (server.connections.length === 1) connection.socket.destroy()
  })
  const proxy = await startProxyTo(t, server.url, { upstreamTimeoutMs: 100 })
  for (const [bytes, status] of [
    [handshake(), '502 Bad Gateway'],
    [handshake(), '504 Gateway Timeout'],
    [handshake('Host: b'), '400 Bad Request']
  ] as const) {
    const client = await connectTo(proxy.port)
    await client.send(bytes)
    await client.closed()
    t.equal(client.reader.head?.startLine, `HTTP/1.1 ${status}`)
    t.match(JSON.parse(client.reader.text()), { jsonrpc: '2.0', error: { data: { requestId: String } } })
  }
  t.same(
    proxy.logs.map(line => line['status']),
    [502, 504, 400]
  )
})

await test('a client that leaves before the response to its upgrade', async t => {
  let began: (connection: RawConnection) => void
  const connected = new Promise<RawConnection>(resolve => (began = resolve))
  const server = await startUpstream(t, connection => began(connection))
  const { port, logs } = await startProxyTo(t, server.url)
  const client = await connectTo(port)
  await client.send(handshake())
  const upstream = await connected
  await upstream.done()
  client.socket.resetAndDestroy()
  await upstream.closed()
  t.same(logs, [])
})

await test('a client that leaves while its upgrade is refused', async t => {
  for (const moment of ['before', 'after'] as const) {
    let began: (connection: RawConnection) => void
    const connected = new Promise<RawConnection>(resolve => (began = resolve))
    const server = await startUpstream(t, connection => began(connection))
    const { port } = await startProxyTo(t, server.url)
    const client = await connectTo(port)
    await client.send(handshake())
    const upstream = await connected
    await upstream.done()
    if (moment === 'before') client.socket.end()
    await upstream.send(responseHead('200 OK', 'Content-Length: 100'))
    if (moment === 'after') await client.head().then(() => client.socket.end())
    await upstream.closed()
    t.pass(moment)
  }
})

await test('closing the proxy ends WebSockets after the grace time', async t => {
  const server = await echo(t)
  const { proxy } = await startProxyTo(t, server.url)
  const client = await upgraded(t, proxy)
  await proxy.close(10)
  await client.closed()
  await server.connections[0]!.closed()
  t.pass('both closed')
})

const plain: Record<string, string> = {
  'a POST with h2c':
    requestHead(
      'POST /stream/a HTTP/1.1',
      'Connection: Upgrade, HTTP2-Settings',
      'Upgrade: h2c',
      'HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA',
      'Content-Length: 2'
    ) + '{}',
  'a chunked POST with h2c':
    requestHead(
      'POST /stream/a HTTP/1.1',
      'Connection: Upgrade',
      'Upgrade: h2c',
      'Transfer-Encoding: chunked'
    ) + '2\r\n{}\r\n0\r\n\r\n',
  'a POST with websocket':
    requestHead('POST /stream/a HTTP/1.1', 'Connection: Upgrade', 'Upgrade: websocket', 'Content-Length: 2') +
    '{}',
  'a GET with websocket in HTTP/1.0': requestHead(
    'GET /stream/a HTTP/1.0',
    'Connection: Upgrade, keep-alive',
    'Upgrade: websocket'
  ),
  'a GET with websocket and a body':
    requestHead('GET /stream/a HTTP/1.1', 'Connection: Upgrade', 'Upgrade: websocket', 'Content-Length: 2') +
    '{}'
}

for (const [name, bytes] of Object.entries(plain)) {
  await test(`${name} is answered as a plain request, again and again`, async t => {
    const bodies: string[] = []
    const server = await serveResponses(reader => {
      bodies.push(reader.text())
      t.equal(reader.value('upgrade'), undefined)
      t.equal(reader.value('http2-settings'), undefined)
      return ok
    })
    t.teardown(() => server.close())
    const { port, observations } = await startProxyTo(t, server.url)
    const client = await connectTo(port)
    t.teardown(() => client.socket.destroy())
    const warnings: Error[] = []
    const onWarning = (warning: Error): void => void warnings.push(warning)
    process.on('warning', onWarning)
    t.teardown(() => process.off('warning', onWarning))
    for (let i = 0; i < 30; i++) {
      await client.send(bytes)
      await client.done()
      t.equal(client.reader.text(), 'ok')
      client.next()
    }
    t.equal(bodies.length, 30)
    t.same(new Set(bodies), new Set([bytes.includes('{}') ? '{}' : '']))
    t.equal(observations.length, 30)
    t.same(warnings, [])
  })
}

await test('such a request whose body comes later', async t => {
  const server = await serveResponses(() => ok)
  t.teardown(() => server.close())
  const { port } = await startProxyTo(t, server.url)
  const client = await connectTo(port)
  t.teardown(() => client.socket.destroy())
  await client.send(
    requestHead('POST /x HTTP/1.1', 'Connection: Upgrade', 'Upgrade: h2c', 'Content-Length: 4') + 'ab'
  )
  await server.connections[0]?.bodyText('ab')
  await client.send('cd')
  await client.done()
  t.equal(client.reader.text(), 'ok')
  t.equal(client.ended, undefined)
})

for (const [name, bytes] of Object.entries({
  'an upgrade': handshake(),
  CONNECT: requestHead('CONNECT gateway.example:80 HTTP/1.1')
})) {
  await test(`${name} sent behind a request that is not answered yet ends the connection`, async t => {
    const server = await startUpstream(t, () => undefined)
    const { port } = await startProxyTo(t, server.url)
    const client = await connectTo(port)
    await client.send(requestHead('GET /first HTTP/1.1') + bytes)
    await client.closed()
    t.equal(client.received, 0)
  })
}

for (const [name, bytes] of Object.entries({
  'that is no HTTP': 'SSH-2.0-OpenSSH_9.2\r\n\r\n',
  'with a length and chunks': responseHead('200 OK', 'Content-Length: 1', 'Transfer-Encoding: chunked'),
  'that switches to nothing': responseHead('101 Switching Protocols', 'Connection: close'),
  ...Object.fromEntries(
    ['h2c', 'websocket, h2c', 'web socket', ''].map(protocol => [
      `that switches to "${protocol}"`,
      responseHead('101 Switching Protocols', 'Connection: Upgrade', `Upgrade: ${protocol}`)
    ])
  )
})) {
  await test(`a response to an upgrade ${name} is a 502`, async t => {
    const server = await serveResponses(() => bytes)
    t.teardown(() => server.close())
    const { port } = await startProxyTo(t, server.url)
    const client = await connectTo(port)
    await client.send(handshake())
    await client.closed()
    t.equal(client.reader.head?.startLine, 'HTTP/1.1 502 Bad Gateway')
    t.match(client.reader.text(), 'no valid response')
  })
}

await test('without a time limit an upgrade may take its time', async t => {
  const server = await echo(t)
  const proxy = await startProxyTo(t, server.url, { upstreamTimeoutMs: 0 })
  const client = await upgraded(t, proxy)
  t.equal(client.reader.interim[0]?.startLine, 'HTTP/1.1 101 Switching Protocols')
})

await test('a switch of protocols has no body, whatever length it states', async t => {
  const server = await startUpstream(t, async connection => {
    await connection.done()
    await connection.send(switching.replace('\r\n\r\n', '\r\nContent-Length: 5\r\n\r\nframe'))
  })
  const client = await upgraded(t, await startProxyTo(t, server.url))
  await client.until(() => received(client) === 'frame')
  t.notOk(
    client.reader.interim[0]?.fields.some(([name]) => /^(content-length|transfer-encoding)$/i.test(name))
  )
})
