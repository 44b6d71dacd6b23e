// Owns the rule that what is forwarded is one unambiguous request, or else a 400 and a closed connection.
import { test } from 'tap'
import { responseHead, startProxyTo, requestHead, startUpstream } from '../../support/proxy-under-test.js'
import { connectTo, serveResponses, type RawConnection } from '../../support/raw-http.js'

const ok = responseHead('200 OK', 'Content-Length: 2') + 'ok'

const refused: Record<string, string> = {
  'a length and a transfer coding':
    requestHead('POST /x HTTP/1.1', 'Content-Length: 5', 'Transfer-Encoding: chunked') + '0\r\n\r\n',
  'a transfer coding and a length':
    requestHead('POST /x HTTP/1.1', 'Transfer-Encoding: chunked', 'Content-Length: 5') + '0\r\n\r\n',
  'two lengths': requestHead('POST /x HTTP/1.1', 'Content-Length: 2', 'Content-Length: 3') + 'abc',
  'the same length twice': requestHead('POST /x HTTP/1.1', 'Content-Length: 2', 'Content-Length: 2') + 'ab',
  'a list of lengths': requestHead('POST /x HTTP/1.1', 'Content-Length: 2, 2') + 'ab',
  'a length with a sign': requestHead('POST /x HTTP/1.1', 'Content-Length: +2') + 'ab',
  'a length in hex': requestHead('POST /x HTTP/1.1', 'Content-Length: 0x2') + 'ab',
  'a length that is too long for a number': requestHead(
    'POST /x HTTP/1.1',
    `Content-Length: ${'9'.repeat(30)}`
  ),
  'a space before the colon': requestHead('POST /x HTTP/1.1', 'Content-Length : 2') + 'ab',
  'a folded header': requestHead('POST /x HTTP/1.1', 'X-A: b\r\n c', 'Content-Length: 0'),
  'a folded transfer coding': requestHead('POST /x HTTP/1.1', 'Transfer-Encoding:\r\n chunked') + '0\r\n\r\n',
  'an unknown transfer coding': requestHead('POST /x HTTP/1.1', 'Transfer-Encoding: xchunked') + '0\r\n\r\n',
  'chunked, but not last': requestHead('POST /x HTTP/1.1', 'Transfer-Encoding: chunked, gzip') + '0\r\n\r\n',
  'chunked twice': requestHead('POST /x HTTP/1.1', 'Transfer-Encoding: chunked, chunked') + '0\r\n\r\n',
  'chunked behind another coding':
    requestHead('POST /x HTTP/1.1', 'Transfer-Encoding: gzip, chunked') + '0\r\n\r\n',
  'a transfer coding in HTTP/1.0':
    requestHead('POST /x HTTP/1.0', 'Transfer-Encoding: chunked') + '0\r\n\r\n',
  'a bad chunk size': requestHead('POST /x HTTP/1.1', 'Transfer-Encoding: chunked') + 'zz\r\nab\r\n0\r\n\r\n',
  'a chunk size with a sign':
    requestHead('POST /x HTTP/1.1', 'Transfer-Encoding: chunked') + '+2\r\nab\r\n0\r\n\r\n',
  'a chunk longer than its size':
    requestHead('POST /x HTTP/1.1', 'Transfer-Encoding: chunked') + '2\r\nabc\r\n0\r\n\r\n',
  'a bare LF behind a header': 'GET /x HTTP/1.1\r\nHost: a\nX-A: b\r\n\r\n',
  'a bare CR in a header': requestHead('GET /x HTTP/1.1', 'X-A: b\rX-C: d'),
  'a NUL in a header': requestHead('GET /x HTTP/1.1', 'X-A: b\0c'),
  'a NUL in the target': requestHead('GET /x\0y HTTP/1.1'),
  'a space in the target': requestHead('GET /x y HTTP/1.1'),
  'no Host': 'GET /x HTTP/1.1\r\n\r\n',
  'two Hosts': requestHead('GET /x HTTP/1.1', 'Host: other.example'),
  'a header without a name': requestHead('GET /x HTTP/1.1', ': b'),
  'a target that is no path': requestHead('GET x HTTP/1.1'),
  'an authority as the target': requestHead('GET gateway.example:80 HTTP/1.1'),
  'the asterisk': requestHead('OPTIONS * HTTP/1.1'),
  'a fragment in the target': requestHead('GET /x#y HTTP/1.1'),
  'a fragment in the query': requestHead('GET /x?y#z HTTP/1.1'),
  'a fragment in absolute-form': requestHead('GET http://gateway.example#x HTTP/1.1'),
  'a space in the Host': 'GET /x HTTP/1.1\r\nHost: a b\r\n\r\n',
  'a list in the Host': 'GET /x HTTP/1.1\r\nHost: a, b\r\n\r\n',
  'a path in the Host': 'GET /x HTTP/1.1\r\nHost: a/b\r\n\r\n',
  'a user in the Host': 'GET /x HTTP/1.1\r\nHost: a@b\r\n\r\n',
  'a port that is none': 'GET /x HTTP/1.1\r\nHost: a:b\r\n\r\n',
  'a Host that is not ASCII': 'GET /x HTTP/1.1\r\nHost: caf\xe9\r\n\r\n',
  'a user in the authority': 'GET http://user@gateway.example/ HTTP/1.1\r\nHost: gateway.example\r\n\r\n',
  CONNECT: requestHead('CONNECT gateway.example:80 HTTP/1.1'),
  'another version': requestHead('GET /x HTTP/2.0'),
  'a method in lower case': requestHead('get /x HTTP/1.1'),
  'no HTTP at all': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n',
  'a head of 80 kB': requestHead('GET /x HTTP/1.1', `X-A: ${'a'.repeat(80_000)}`)
}

for (const [name, bytes] of Object.entries(refused)) {
  await test(`refused: ${name}`, async t => {
    const targets: (string | undefined)[] = []
    const server = await serveResponses(({ head }) => {
      targets.push(head?.startLine)
      return ok
    })
    t.teardown(() => server.close())
    const { port, observations } = await startProxyTo(t, server.url)
    const client = await connectTo(port)
    const hidden = requestHead('GET /hidden HTTP/1.1')
    client.socket.write(Buffer.from(bytes + hidden, 'latin1'))
    await client.closed()
    t.match(client.reader.head?.startLine, /^HTTP\/1\.1 (400|405|413|431|501) /)
    t.equal(client.reader.complete, true)
    t.equal(client.reader.rest.length, 0, 'nothing behind it is answered')
    t.same(targets, [], 'no whole request is forwarded')
    t.same(observations, [])
  })
}

await test('a broken chunk late in an upload ends the request upstream', async t => {
  let began: (connection: RawConnection) => void
  const connected = new Promise<RawConnection>(resolve => (began = resolve))
  const server = await startUpstream(t, connection => began(connection))
  const { port } = await startProxyTo(t, server.url)
  const client = await connectTo(port)
  await client.send(requestHead('POST /x HTTP/1.1', 'Transfer-Encoding: chunked') + '3\r\nabc\r\n')
  const upstream = await connected
  await upstream.bodyText('abc')
  await client.send('zz\r\n')
  await client.closed()
  t.equal(client.reader.head?.startLine, 'HTTP/1.1 400 Bad Request')
  await upstream.closed()
  t.equal(upstream.reader.complete, false)
})

for (const [name, garbage] of Object.entries({
  'that is no request': 'garbage\r\n\r\n',
  'after Connection: close': requestHead('GET /y HTTP/1.1')
})) {
  await test(`bytes behind a good request, ${name}, do not replace its response`, async t => {
    let began: (connection: RawConnection) => void
    const connected = new Promise<RawConnection>(resolve => (began = resolve))
    const server = await startUpstream(t, connection => began(connection))
    const { port } = await startProxyTo(t, server.url)
    const client = await connectTo(port)
    await client.send(
      requestHead('POST /x HTTP/1.1', 'Connection: close', 'Content-Length: 2') + '{}' + garbage
    )
    const upstream = await connected
    await upstream.done()
    await client.send(garbage)
    await upstream.send(responseHead('200 OK', 'Content-Length: 4'))
    await client.head()
    await client.send(garbage)
    await upstream.send('good')
    await client.closed()
    t.equal(client.reader.head?.startLine, 'HTTP/1.1 200 OK')
    t.equal(client.reader.text(), 'good')
    t.equal(client.reader.rest.length, 0)
  })
}

await test('a client that leaves behind such bytes ends the request upstream', async t => {
  let began: (connection: RawConnection) => void
  const connected = new Promise<RawConnection>(resolve => (began = resolve))
  const server = await startUpstream(t, connection => began(connection))
  const { port } = await startProxyTo(t, server.url)
  const client = await connectTo(port)
  await client.send(requestHead('GET /x HTTP/1.1') + 'garbage\r\n\r\n')
  const upstream = await connected
  await upstream.done()
  client.socket.end()
  await upstream.closed()
  t.pass('closed')
})

await test('a second request inside a body stays a body', async t => {
  const hidden = requestHead('GET /hidden HTTP/1.1')
  const targets: (string | undefined)[] = []
  const server = await serveResponses(({ head }) => {
    targets.push(head?.startLine)
    return ok
  })
  t.teardown(() => server.close())
  const { port } = await startProxyTo(t, server.url)
  const client = await connectTo(port)
  t.teardown(() => client.socket.destroy())
  for (const bytes of [
    requestHead('GET /a HTTP/1.1', `Content-Length: ${hidden.length}`) + hidden,
    requestHead('DELETE /b HTTP/1.1', 'Transfer-Encoding: chunked') +
      `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`,
    requestHead('POST /c HTTP/1.1', 'Content-Length: 0')
  ]) {
    await client.send(bytes)
    await client.done()
    client.next()
  }
  t.same(targets, ['GET /a HTTP/1.1', 'DELETE /b HTTP/1.1', 'POST /c HTTP/1.1'])
})

await test('bytes behind a response are never taken for the next response', async t => {
  let responses = 0
  const server = await startUpstream(t, async connection => {
    for (;;) {
      await connection.done()
      if (!connection.reader.complete) return
      connection.next()
      responses++
      await connection.send(
        responses === 1 ? ok + responseHead('200 OK', 'X-Hidden: 1', 'Content-Length: 0') : ok
      )
    }
  })
  const { port } = await startProxyTo(t, server.url)
  const client = await connectTo(port)
  t.teardown(() => client.socket.destroy())
  for (let i = 0; i < 2; i++) {
    await client.send(requestHead('GET /x HTTP/1.1'))
    await client.done()
    t.equal(client.reader.value('x-hidden'), undefined)
    t.equal(client.reader.text(), 'ok')
    client.next()
  }
})

await test('a response to HEAD that has a body after all does not reach the next request', async t => {
  const server = await startUpstream(t, async connection => {
    for (;;) {
      await connection.done()
      if (!connection.reader.complete) return
      connection.next()
      await connection.send(ok)
    }
  })
  const { port } = await startProxyTo(t, server.url)
  const client = await connectTo(port, 'HEAD')
  t.teardown(() => client.socket.destroy())
  await client.send(requestHead('HEAD /x HTTP/1.1'))
  await client.done()
  client.next('GET')
  await client.send(requestHead('GET /x HTTP/1.1'))
  await client.done()
  t.equal(client.reader.text(), 'ok')
})

await test('an absolute target is forwarded as a path, with its authority as Host', async t => {
  let seen = ''
  const server = await serveResponses(reader => {
    seen = `${reader.head?.startLine ?? ''} ${reader.value('host') ?? ''}`
    return ok
  })
  t.teardown(() => server.close())
  const { port } = await startProxyTo(t, server.url)
  const client = await connectTo(port)
  t.teardown(() => client.socket.destroy())
  for (const [target, path] of [
    ['http://other.example:81/a?b', '/a?b'],
    ['http://other.example:81', '/'],
    ['HTTP://other.example:81?b', '/?b']
  ] as const) {
    await client.send(`GET ${target} HTTP/1.1\r\nHost: gateway.example\r\n\r\n`)
    await client.done()
    client.next()
    t.equal(seen, `GET ${path} HTTP/1.1 other.example:81`)
  }
})
