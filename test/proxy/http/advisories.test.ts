// Owns published faults of other proxies and HTTP libraries, each as a test that this one does not have it.
//
// The rule is that of smuggling.test.ts: one unambiguous request upstream, or an error and a closed connection.
import { test, type Test } from 'tap'
import { responseHead, startProxyTo, requestHead, startUpstream } from '../../support/proxy-under-test.js'
import { connectTo, serveResponses, type MessageReader, type RawConnection } from '../../support/raw-http.js'

const ok = responseHead('200 OK', 'Content-Length: 2') + 'ok'
const chunked = 'Transfer-Encoding: chunked'
const hidden = requestHead('GET /hidden HTTP/1.1')
const post = (...fields: string[]): string => requestHead('POST /x HTTP/1.1', ...fields)

/** Sends bytes, then a whole request that must never be answered; what came back, and what reached the upstream. */
async function attack(
  t: Test,
  bytes: string,
  answered: (request: MessageReader) => string = () => ok
): Promise<{ client: RawConnection; requests: MessageReader[] }> {
  const requests: MessageReader[] = []
  const server = await serveResponses(reader => {
    requests.push(reader)
    return answered(reader)
  })
  t.teardown(() => server.close())
  const { port } = await startProxyTo(t, server.url)
  const client = await connectTo(port)
  t.teardown(() => client.socket.destroy())
  client.socket.write(Buffer.from(bytes, 'latin1'))
  await client.done()
  return { client, requests }
}

const refused: Record<string, string> = {
  'CVE-2019-18277 (HAProxy): a vertical tab before chunked':
    post('Content-Length: 5', 'Transfer-Encoding:\x0bchunked') + '0\r\n\r\n',
  'a transfer coding with a NUL behind it': post('Transfer-Encoding: chunked\x00'),
  'CVE-2020-8287 (Node): two transfer codings': post(chunked, 'Transfer-Encoding: chunked-false'),
  'CVE-2021-22959 (Node): a space behind the name of a field': post('Content-Length : 2') + '{}',
  'CVE-2021-22960 (Node): a chunk extension that ends in LF': post(chunked) + `2 \n;\r\nxx\r\n0\r\n\r\n`,
  'CVE-2022-32213 (Node): a transfer coding that only looks like chunked': post(
    'Transfer-Encoding: chunkedx'
  ),
  'CVE-2022-32214 (Node): a field that ends in LF':
    'POST /x HTTP/1.1\r\nHost: a\r\nX: a\nContent-Length: 0\r\n\r\n',
  'CVE-2022-32215 (Node): a transfer coding over two lines': post(
    'Transfer-Encoding: chunked\r\n , identity'
  ),
  'CVE-2022-35256 (Node): a field that does not end in CRLF':
    'GET / HTTP/1.1\r\nHost: a\r\nX:\rTransfer-Encoding: chunked\r\n\r\n',
  'CVE-2023-25725 (HAProxy): a field without a name': post(':', 'Content-Length: 0'),
  'CVE-2023-30589 (Node): a CR alone ends no field': post('X: a\r\rContent-Length: 2') + '{}',
  'CVE-2023-40225 (HAProxy): an empty length': post('Content-Length:') + hidden,
  'CVE-2023-40225 (HAProxy): an empty length before another':
    post('Content-Length:', 'Content-Length: 2') + '{}',
  'GHSA-64mm-vxmg-q3vj (http-proxy-middleware): a Host with a path':
    'GET /x HTTP/1.1\r\nHost: evil.example/../y\r\n\r\n',
  'GHSA-64mm-vxmg-q3vj (http-proxy-middleware): a Host with a user':
    'GET /x HTTP/1.1\r\nHost: @evil.example\r\n\r\n',
  'CVE-2023-45539 (HAProxy): a # in the target': requestHead('GET /admin#.png HTTP/1.1'),
  'CVE-2024-27982 (Node): a space before the length': post(' Content-Length: 2') + '{}',
  'CVE-2026-28369 (Undertow): a space before the first field': `POST /x HTTP/1.1\r\n Host: a\r\nContent-Length: 0\r\n\r\n`,
  'CVE-2026-1525 (undici): two lengths in different case':
    post('Content-Length: 2', 'content-length: 3') + '{}',
  'CVE-2023-38697: a length with a plus': post('Content-Length: +2') + '{}',
  'CVE-2023-38697: a chunk size with 0x': post(chunked) + '0x2\r\n{}\r\n0\r\n\r\n',
  'a chunk size with an underscore': post(chunked) + '0_2\r\n{}\r\n0\r\n\r\n',
  'a chunk size with a space before': post(chunked) + ' 2\r\n{}\r\n0\r\n\r\n',
  'a chunk size that overflows 64 bits': post(chunked) + '10000000000000002\r\n{}\r\n0\r\n\r\n',
  'a chunk size that ends in LF': post(chunked) + '2\n{}\r\n0\r\n\r\n',
  'a chunk that ends in LF': post(chunked) + '2\r\n{}\n0\r\n\r\n',
  'an empty chunk size': post(chunked) + '\r\n{}\r\n0\r\n\r\n',
  'a negative chunk size': post(chunked) + '-1\r\n{}\r\n0\r\n\r\n',
  'TERM.EXT: LF in a chunk extension': post(chunked) + '2;a\n{}\r\n0\r\n\r\n',
  'EXT.TERM: CR in a chunk extension': post(chunked) + '2;a\rb\r\n{}\r\n0\r\n\r\n',
  'CVE-2024-22019 (Node): chunk extensions without end':
    post(chunked) + `2;${'a'.repeat(100_000)}\r\n{}\r\n0\r\n\r\n`,
  'a trailer that is no field': post(chunked) + '0\r\nno field\r\n\r\n',
  'a length among the trailers': post(chunked) + '0\r\nContent-Length: 9\r\n\r\n',
  'trailers without end': post(chunked) + `0\r\nX: ${'a'.repeat(100_000)}\r\n\r\n`,
  'a version that is none': 'GET /x HTTP/1.10\r\nHost: a\r\n\r\n',
  'HTTP/0.9': 'GET /x\r\n\r\n',
  'a start line that ends in LF': 'GET /x HTTP/1.1\nHost: a\r\n\r\n',
  'a tab for a space in the start line': 'GET\t/x\tHTTP/1.1\r\nHost: a\r\n\r\n',
  'a head that ends in LF LF': 'GET /x HTTP/1.1\r\nHost: a\n\n',
  'a Host and an absolute target with a user': 'GET http://a@b/x HTTP/1.1\r\nHost: a\r\n\r\n',
  'a target of another scheme': 'GET ftp://a/x HTTP/1.1\r\nHost: a\r\n\r\n',
  'HTTP/2 with prior knowledge': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'ten thousand fields that are too long together': requestHead(
    'GET /x HTTP/1.1',
    ...Array.from({ length: 10_000 }, (_, i) => `X-${i}: value`)
  )
}

for (const [name, bytes] of Object.entries(refused)) {
  await test(name, async t => {
    const { client, requests } = await attack(t, bytes + hidden)
    await client.closed()
    t.match(client.reader.head?.startLine, /^HTTP\/1\.1 (400|405|413|431|501) /)
    t.equal(client.reader.rest.length, 0, 'nothing behind it is answered')
    t.same(requests, [], 'no whole request is forwarded')
  })
}

await test('dots and slashes, encoded or not, pass as they came', async t => {
  for (const target of [
    '/stream/../admin',
    '/stream/%2e%2e/admin',
    '/stream/..%2fadmin',
    '/a/..;/b',
    '/\\..\\b'
  ]) {
    const { requests } = await attack(t, requestHead(`GET ${target} HTTP/1.1`))
    t.equal(requests[0]?.head?.startLine, `GET ${target} HTTP/1.1`)
  }
})

await test('CVE-2022-35949 (undici): the path chooses no other upstream', async t => {
  for (const target of [
    '//evil.example/x',
    '/\\evil.example/x',
    '/@evil.example/x',
    'http://evil.example/x'
  ]) {
    const { requests, client } = await attack(t, `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`)
    t.equal(client.reader.text(), 'ok')
    t.equal(requests.length, 1)
  }
})

await test('strip-connection-headers (reply-from, http-proxy): fields named by Connection go, those that say who asks stay', async t => {
  const named =
    'authorization, host, content-length, content-type, mcp-session-id, mcp-protocol-version, x-hop'
  const { requests } = await attack(
    t,
    post(
      `Connection: close, ${named}`,
      'Authorization: Bearer a',
      'Content-Type: application/json',
      'Mcp-Session-Id: s',
      'Mcp-Protocol-Version: 2025-11-25',
      'X-Hop: 1',
      'Content-Length: 2'
    ) + '{}'
  )
  const [reader] = requests
  for (const field of ['authorization', 'host', 'content-type', 'mcp-session-id', 'mcp-protocol-version'])
    t.type(reader?.value(field), 'string', field)
  t.equal(reader?.value('x-hop'), undefined)
  t.equal(reader?.text(), '{}')
})

await test('fields that say who forwards cannot be taken away by Connection', async t => {
  const { requests } = await attack(
    t,
    requestHead('GET /x HTTP/1.1', 'Connection: close, x-forwarded-for, via, x-forwarded-host')
  )
  t.equal(requests[0]?.value('x-forwarded-for'), '127.0.0.1')
  t.type(requests[0]?.value('via'), 'string')
})

await test('GMS-2020-737, npm advisory 1486 (http-proxy): a large body, and one with Expect', async t => {
  const body = 'x'.repeat(100_000)
  const { requests, client } = await attack(
    t,
    post('Expect: 100-continue', `Content-Length: ${body.length}`) + body
  )
  t.equal(client.reader.text(), 'ok')
  t.equal(requests[0]?.text().length, body.length)
})

await test('an unknown expectation is no reason to wait', async t => {
  const { client } = await attack(t, post('Expect: 200-maybe', 'Content-Length: 2') + '{}')
  t.match(client.reader.head?.startLine, /^HTTP\/1\.1 (200|417) /)
})

await test('http-proxy: a DELETE with an empty chunked body says one framing', async t => {
  const { requests } = await attack(t, requestHead('DELETE /x HTTP/1.1', chunked) + '0\r\n\r\n')
  const framing = requests[0]?.head?.fields.filter(([name]) =>
    /^(content-length|transfer-encoding)$/i.test(name)
  )
  t.ok(framing!.length <= 1, JSON.stringify(framing))
})

await test('trailers of a request cannot become fields', async t => {
  const { requests } = await attack(
    t,
    post(chunked, 'Trailer: Mcp-Session-Id') + '2\r\n{}\r\n0\r\nMcp-Session-Id: s\r\n\r\n'
  )
  t.equal(requests[0]?.text(), '{}')
  t.equal(requests[0]?.value('mcp-session-id'), undefined)
})

await test('CVE-2021-40346 (HAProxy): a name so long that its length overflows hides no field behind it', async t => {
  const { requests } = await attack(
    t,
    post(`Content-Length0${'a'.repeat(255)}:`, `Content-Length: ${hidden.length}`) + hidden
  )
  t.equal(requests.length, 1)
  t.equal(requests[0]?.text(), hidden)
})

await test('GHSA-2q7r-29rg-6m5h (reply-from): the base path of the upstream cannot be left', async t => {
  const seen: (string | undefined)[] = []
  const server = await serveResponses(({ head }) => {
    seen.push(head?.startLine)
    return ok
  })
  t.teardown(() => server.close())
  const { port } = await startProxyTo(t, new URL('/base/', server.url))
  for (const target of [
    '/..',
    '/../admin',
    '/a/../../admin',
    '/%2e%2E/admin',
    '/.%2e/admin',
    '/..%2fadmin',
    '/a%2F..%5cadmin',
    '/..\\admin',
    '/..;/admin',
    '/..#',
    'http://a/../admin'
  ]) {
    const client = await connectTo(port)
    await client.send(requestHead(`GET ${target} HTTP/1.1`) + hidden)
    await client.closed()
    t.equal(client.reader.head?.startLine, 'HTTP/1.1 400 Bad Request', target)
  }
  for (const target of ['/a..b/..c/d../...', '/x?y=/../z', '/./x']) {
    const client = await connectTo(port)
    await client.send(requestHead(`GET ${target} HTTP/1.1`))
    await client.done()
    client.socket.destroy()
    t.equal(seen.pop(), `GET /base${target} HTTP/1.1`)
  }
  t.same(seen, [])
})

await test('chunk extensions are not passed on', async t => {
  const { requests } = await attack(t, post(chunked) + '2;a=b;c="d"\r\n{}\r\n0;e\r\n\r\n')
  t.equal(requests[0]?.text(), '{}')
  t.equal(requests[0]?.trailers.length, 0)
})

await test('h2_desync (HAProxy): Upgrade: h2c is not passed on', async t => {
  const { requests, client } = await attack(
    t,
    requestHead(
      'GET /x HTTP/1.1',
      'Connection: Upgrade, HTTP2-Settings',
      'Upgrade: h2c',
      'HTTP2-Settings: AAMAAABkAARAAAAA'
    )
  )
  t.equal(client.reader.text(), 'ok')
  t.equal(requests[0]?.value('upgrade'), undefined)
  t.equal(requests[0]?.value('http2-settings'), undefined)
})

// What the upstream answers.

const badAnswers: Record<string, string> = {
  'both a length and chunks': responseHead('200 OK', 'Content-Length: 2', chunked) + '2\r\nok\r\n0\r\n\r\n',
  'chunks and a length': responseHead('200 OK', chunked, 'Content-Length: 2') + '2\r\nok\r\n0\r\n\r\n',
  'two lengths': responseHead('200 OK', 'Content-Length: 2', 'Content-Length: 3') + 'ok!',
  'a list of lengths': responseHead('200 OK', 'Content-Length: 2, 3') + 'ok!',
  'a length with a plus': responseHead('200 OK', 'Content-Length: +2') + 'ok',
  'an empty length': responseHead('200 OK', 'Content-Length:') + 'ok',
  'chunked twice': responseHead('200 OK', 'Transfer-Encoding: chunked, chunked') + '2\r\nok\r\n0\r\n\r\n',
  'an unknown coding': responseHead('200 OK', 'Transfer-Encoding: xchunked') + 'ok',
  'a folded field': 'HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n',
  'a field without a name': responseHead('200 OK', ': a', 'Content-Length: 0'),
  'a space before the colon': responseHead('200 OK', 'Content-Length : 2') + 'ok',
  'a NUL in a field': responseHead('200 OK', 'X: a\0b', 'Content-Length: 0'),
  'a bare CR in a field': responseHead('200 OK', 'X: a\rb', 'Content-Length: 0'),
  'a status of two digits': responseHead('20 OK', 'Content-Length: 0'),
  'a status of four digits': responseHead('2000 OK', 'Content-Length: 0'),
  'another version': 'HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n',
  'a head of 80 kB': responseHead('200 OK', `X: ${'a'.repeat(80_000)}`, 'Content-Length: 0')
}

for (const [name, bytes] of Object.entries(badAnswers)) {
  await test(`a response with ${name} is a 502, and its connection is not used again`, async t => {
    let connections = 0
    const server = await startUpstream(t, async connection => {
      const first = ++connections === 1
      for (;;) {
        await connection.done()
        if (!connection.reader.complete) return
        connection.next()
        await connection.send(first ? bytes : ok)
      }
    })
    const { port } = await startProxyTo(t, server.url)
    const client = await connectTo(port)
    t.teardown(() => client.socket.destroy())
    await client.send(requestHead('GET /x HTTP/1.1'))
    await client.done()
    t.equal(client.reader.head?.startLine, 'HTTP/1.1 502 Bad Gateway')
    client.next()
    await client.send(requestHead('GET /y HTTP/1.1'))
    await client.done()
    t.equal(client.reader.text(), 'ok')
    t.equal(connections, 2)
  })
}

const brokenBodies: Record<string, string> = {
  'a bad chunk size': responseHead('200 OK', chunked) + '2\r\nok\r\nzz\r\n',
  'a chunk longer than its size': responseHead('200 OK', chunked) + '2\r\nok!!\r\n0\r\n\r\n',
  'a chunk size that overflows': responseHead('200 OK', chunked) + '2\r\nok\r\nfffffffffffffffff\r\n'
}

for (const [name, bytes] of Object.entries(brokenBodies)) {
  await test(`a response with ${name} breaks off`, async t => {
    const { client } = await attack(t, requestHead('GET /x HTTP/1.1'), () => bytes)
    await client.closed()
    t.equal(client.reader.complete && / 200 /.test(client.reader.head!.startLine), false)
  })
}

await test('CVE-2026-48931 (Node): a response nobody asked for is not the response to the next request', async t => {
  const unasked = responseHead('200 OK', 'X-Hidden: 1', 'Content-Length: 0')
  let connections = 0
  const server = await startUpstream(t, async connection => {
    const first = ++connections === 1
    for (;;) {
      await connection.done()
      if (!connection.reader.complete) return
      connection.next()
      await connection.send(ok)
      // After the response, while the connection is idle.
      if (first) setTimeout(() => void connection.send(unasked), 20)
    }
  })
  const { port } = await startProxyTo(t, server.url)
  const client = await connectTo(port)
  t.teardown(() => client.socket.destroy())
  for (let i = 0; i < 3; i++) {
    await client.send(requestHead('GET /x HTTP/1.1'))
    await client.done()
    t.equal(client.reader.text(), 'ok')
    t.equal(client.reader.value('x-hidden'), undefined)
    client.next()
    await new Promise(resolve => setTimeout(resolve, 60))
  }
})

for (const status of ['204 No Content', '304 Not Modified']) {
  await test(`a body behind a ${status} does not reach the next request`, async t => {
    let connections = 0
    const server = await startUpstream(t, async connection => {
      const first = ++connections === 1
      for (;;) {
        await connection.done()
        if (!connection.reader.complete) return
        connection.next()
        await connection.send(
          first
            ? responseHead(status, 'X-A: b') + responseHead('200 OK', 'X-Hidden: 1', 'Content-Length: 0')
            : ok
        )
      }
    })
    const { port } = await startProxyTo(t, server.url)
    const client = await connectTo(port)
    t.teardown(() => client.socket.destroy())
    await client.send(requestHead('GET /x HTTP/1.1'))
    await client.done()
    t.equal(client.reader.head?.startLine, `HTTP/1.1 ${status}`)
    client.next()
    await client.send(requestHead('GET /y HTTP/1.1'))
    await client.done()
    t.equal(client.reader.text(), 'ok')
    t.equal(client.reader.value('x-hidden'), undefined)
  })
}

await test('a flood of 1xx ends, in the response or in an error, and the proxy goes on', async t => {
  const server = await startUpstream(t, async connection => {
    await connection.done()
    const flood = responseHead('103 Early Hints', `Link: <${'a'.repeat(1000)}>`).repeat(100)
    if (connection.reader.head!.startLine.includes('/x'))
      for (let i = 0; i < 100 && !connection.socket.destroyed; i++) await connection.send(flood)
    await connection.send(ok)
  })
  const { port } = await startProxyTo(t, server.url)
  const client = await connectTo(port)
  t.teardown(() => client.socket.destroy())
  // A client that does not read: what is advice only must not be kept for it.
  client.socket.pause()
  await client.send(requestHead('GET /x HTTP/1.1'))
  while (server.connections[0]?.reader.complete !== true) await new Promise(setImmediate)
  const other = await connectTo(port)
  t.teardown(() => other.socket.destroy())
  await other.send(requestHead('GET /y HTTP/1.1'))
  await other.done()
  t.equal(other.reader.text(), 'ok')
  client.socket.resume()
  await client.done()
  t.match(client.reader.head?.startLine, /^HTTP\/1\.1 (200|502) /)
})

await test('a response that comes before the request is complete belongs to that request', async t => {
  const server = await startUpstream(t, async connection => {
    await connection.head()
    await connection.send(ok)
    await connection.closed()
  })
  const { port } = await startProxyTo(t, server.url)
  const first = await connectTo(port)
  t.teardown(() => first.socket.destroy())
  await first.send(post('Content-Length: 1000') + 'a')
  await first.done()
  t.equal(first.reader.text(), 'ok')
  const second = await connectTo(port)
  t.teardown(() => second.socket.destroy())
  await second.send(requestHead('GET /y HTTP/1.1'))
  await second.done()
  t.equal(second.reader.text(), 'ok')
  t.equal(server.connections.length, 2, 'a connection with half a request on it is not used again')
})
