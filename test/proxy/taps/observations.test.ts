// Owns what the proxy reports of each exchange, and that it does so before the client can know.
import { test, type Test } from 'tap'
import type { Observation } from '../../../src/sessions/observations.js'
import { responseHead, startProxyTo, requestHead, startUpstream } from '../../support/proxy-under-test.js'
import { connectTo, serveResponses, type RawConnection } from '../../support/raw-http.js'

const client = { address: '127.0.0.1', userAgent: 'test/1' }

function sent(line: string, ...fields: string[]): string {
  return requestHead(`${line} HTTP/1.1`, 'User-Agent: test/1', ...fields)
}

/** Sends one request, gets one response, and resolves to what was observed. */
async function observed(t: Test, bytes: string, reply: string): Promise<Observation[]> {
  const server = await serveResponses(() => reply)
  t.teardown(() => server.close())
  const { port, observations } = await startProxyTo(t, server.url)
  const connection = await connectTo(port, bytes.slice(0, bytes.indexOf(' ')))
  await connection.send(bytes)
  await connection.done()
  connection.socket.destroy()
  return observations
}

await test('a response of the Streamable HTTP transport', async t => {
  const at = Date.now()
  const [observation, ...others] = await observed(
    t,
    sent(
      'POST /stream/a%20b?x=1',
      'mcp-session-id: s1',
      'MCP-Protocol-Version: 2025-11-25',
      'Content-Length: 2'
    ) + '{}',
    responseHead('202 Accepted', 'Mcp-Session-Id: s2', 'Content-Length: 0')
  )
  t.same(others, [])
  t.match(observation, {
    kind: 'streamable',
    endpointId: 'a b',
    method: 'POST',
    status: 202,
    sessionId: 's1',
    issuedSessionId: 's2',
    protocolVersion: '2025-11-25',
    sessionNotFound: false,
    client
  })
  t.ok(observation && 'at' in observation && observation.at >= at && observation.at <= Date.now())
})

await test('what is not there is undefined', async t => {
  const [observation] = await observed(
    t,
    requestHead('DELETE /stream/a HTTP/1.1'),
    responseHead('405 Method Not Allowed', 'Content-Length: 0')
  )
  t.has(observation, {
    kind: 'streamable',
    method: 'DELETE',
    status: 405,
    sessionId: undefined,
    issuedSessionId: undefined,
    protocolVersion: undefined,
    client: { address: '127.0.0.1', userAgent: undefined }
  })
})

await test('interim responses are not observed, the final one once', async t => {
  const observations = await observed(
    t,
    sent('GET /stream/a'),
    responseHead('103 Early Hints', 'Mcp-Session-Id: no') +
      responseHead('200 OK', 'Mcp-Session-Id: yes', 'Content-Length: 0')
  )
  t.match(observations, [{ status: 200, issuedSessionId: 'yes' }])
})

await test('Connection cannot hide the session, on either side', async t => {
  const observations = await observed(
    t,
    sent('GET /stream/a', 'Connection: mcp-session-id', 'Mcp-Session-Id: s1'),
    responseHead('200 OK', 'Connection: mcp-session-id', 'Mcp-Session-Id: s2', 'Content-Length: 0')
  )
  t.match(observations, [{ sessionId: 's1', issuedSessionId: 's2' }])
})

await test('of a session named twice the first counts', async t => {
  for (const [fields, sessionId] of [
    [['Mcp-Session-Id: s1', 'mcp-session-id: s2'], 's1'],
    [['mcp-session-id: s1', 'mcp-session-id: s1'], 's1'],
    [['mcp-session-id: s1, s2'], 's1, s2'],
    [['mcp-session-id: s1,s2'], 's1,s2']
  ] as const) {
    const reply = responseHead('200 OK', 'Content-Length: 0')
    t.has(await observed(t, sent('GET /stream/a', ...fields), reply), [{ sessionId }])
  }
})

await test('a POST of the legacy transport', async t => {
  for (const [query, endpointId] of [
    ['sessionId=s%201&endpointId=e', 'e'],
    ['endpoint_id=e&x&=&session_id=s+1', 'e'],
    ['sessionId=s%201', undefined]
  ]) {
    const observations = await observed(
      t,
      sent(`POST /message?${query ?? ''}`, 'Content-Length: 0'),
      responseHead('202 Accepted', 'Content-Length: 0')
    )
    t.equal(observations.length, 1)
    t.has(observations[0], { kind: 'message', endpointId, sessionId: 's 1', status: 202, client })
  }
})

await test('nothing is observed of other requests', async t => {
  for (const line of [
    'GET /',
    'GET /stream',
    'GET /stream/',
    'POST /stream/a/b',
    'GET /stream/%ff',
    'POST /streams/a',
    'GET /message?sessionId=s',
    'POST /message',
    'POST /message?sessionId=',
    'POST /message?endpointId=e',
    'POST /message/?sessionId=s',
    'POST /a/sse',
    'GET /a/b/sse',
    'GET //sse',
    'GET /sse'
  ]) {
    const bytes = sent(line, 'Content-Length: 0')
    t.same(
      await observed(
        t,
        bytes,
        responseHead('200 OK', 'Content-Type: text/event-stream', 'Content-Length: 0')
      ),
      [],
      line
    )
  }
})

const notFound = 'Unauthorized: Session not found'

function unauthorized(body: string, ...fields: string[]): string {
  return responseHead('401 Unauthorized', `Content-Length: ${body.length}`, ...fields) + body
}

const error = (code: number): string =>
  JSON.stringify({ jsonrpc: '2.0', id: 1, error: { code, message: 'Session not found' } })

function accepted(json: string, ...fields: string[]): string {
  const length = `Content-Length: ${json.length}`
  return responseHead('200 OK', 'Content-Type: application/json', length, ...fields) + json
}

await test('an unknown method is no unknown session', async t => {
  const withSession = sent('POST /stream/a', 'Mcp-Session-Id: s', 'Content-Length: 0')
  const body = error(-32601)
  const reply = responseHead('404 Not Found', `Content-Length: ${body.length}`) + body
  t.match(await observed(t, withSession, reply), [{ status: 404, methodNotFound: true }])
})

await test('the first message of an event stream tells whether the session is gone', async t => {
  const withSession = sent('POST /stream/a', 'Mcp-Session-Id: s', 'Content-Length: 0')
  for (const [message, gone] of [
    [error(-32600), true],
    [`{"jsonrpc":"2.0","method":"m"}\n\ndata: ${error(-32600)}`, false],
    ['{"jsonrpc":"2.0","id":1,"result":{"error":"Session not found"}}', false]
  ] as const) {
    const body = `data: \nid: 0\n\ndata: ${message}\n\n`
    const head = responseHead('200 OK', 'Content-Type: text/event-stream', `Content-Length: ${body.length}`)
    const observations = await observed(t, withSession, head + body)
    t.equal(
      observations.some(each => 'sessionNotFound' in each && each.sessionNotFound === true),
      gone,
      message
    )
  }
})

await test('a refused legacy message tells by its body too', async t => {
  const text = 'No transport found for sessionId'
  const observations = await observed(
    t,
    sent('POST /message?sessionId=s&endpointId=e', 'Content-Length: 0'),
    responseHead('400 Bad Request', `Content-Length: ${text.length}`) + text
  )
  t.match(observations, [{ kind: 'message', status: 400, sessionNotFound: true }])
})

await test('a refusal tells by its body whether the session is gone', async t => {
  const withSession = sent('POST /stream/a', 'Mcp-Session-Id: s', 'Content-Length: 0')
  for (const [bytes, reply, gone] of [
    [withSession, unauthorized(notFound), true],
    [
      withSession,
      responseHead('401 Unauthorized', 'Transfer-Encoding: chunked') + `1f\r\n${notFound}\r\n0\r\n\r\n`,
      true
    ],
    [withSession, unauthorized(notFound, 'WWW-Authenticate: Bearer'), false],
    [withSession, unauthorized('Unauthorized: Session ID is required'), false],
    [withSession, unauthorized(`${notFound} in tenant db`), false],
    [
      withSession,
      responseHead('401 Unauthorized', 'Transfer-Encoding: chunked') + `20\r\n${notFound}s\r\n0\r\n\r\n`,
      false
    ],
    [
      withSession,
      responseHead('401 Unauthorized', 'Transfer-Encoding: chunked') +
        `1f\r\n${notFound}\r\n1\r\ns\r\n0\r\n\r\n`,
      false
    ],
    [withSession, unauthorized('Unauthorized'), false],
    [withSession, unauthorized(''), false],
    [sent('POST /stream/a', 'Content-Length: 0'), unauthorized(notFound), false],
    [withSession, responseHead('400 Bad Request', `Content-Length: ${notFound.length}`) + notFound, true],
    [withSession, accepted(error(-32600)), true],
    [withSession, accepted(error(-32603)), false],
    [withSession, accepted('{"jsonrpc":"2.0","id":1,"result":{"error":"Session not found"}}'), false],
    [withSession, accepted(`${error(-32600)}${' '.repeat(4096)}`), false],
    [withSession, accepted(error(-32600), 'Content-Encoding: gzip'), false],
    [sent('PUT /stream/a', 'Mcp-Session-Id: s', 'Content-Length: 0'), accepted(error(-32600)), false],
    [sent('GET /stream/a', 'Mcp-Session-Id: s'), unauthorized(notFound), false],
    [sent('GET /stream/a', 'Mcp-Session-Id: s', 'Accept: text/event-stream'), unauthorized(notFound), true]
  ] as const) {
    const observations = await observed(t, bytes, reply)
    t.equal(observations.length, 1)
    t.match(observations, [{ sessionNotFound: gone }], reply)
  }
})

/** A client with a request under way, and the upstream's end of it. */
async function opened(
  t: Test,
  bytes: string,
  arrived = (upstream: RawConnection) => upstream.done()
): Promise<{ connection: RawConnection; upstream: RawConnection; observations: Observation[] }> {
  let began: (connection: RawConnection) => void
  const connected = new Promise<RawConnection>(resolve => (began = resolve))
  const server = await startUpstream(t, each => began(each))
  const { port, observations } = await startProxyTo(t, server.url)
  const connection = await connectTo(port)
  t.teardown(() => connection.socket.destroy())
  await connection.send(bytes)
  const upstream = await connected
  await arrived(upstream)
  return { connection, upstream, observations }
}

await test('the head of such a 401 is not held back, and the body not passed on before the observation', async t => {
  const { connection, upstream, observations } = await opened(
    t,
    sent('POST /stream/a', 'Mcp-Session-Id: s', 'Content-Length: 0')
  )
  await upstream.send(responseHead('401 Unauthorized', `Content-Length: ${notFound.length}`))
  await connection.head()
  t.equal(observations.length, 0)
  await upstream.send(notFound.slice(0, 20))
  await connection.bodyText(notFound.slice(0, 20))
  t.equal(observations.length, 0)
  await upstream.send(notFound.slice(20))
  await connection.done()
  t.match(observations, [{ status: 401, sessionNotFound: true }])
})

await test('a 401 whose body never comes is observed when it ends', async t => {
  const { connection, upstream, observations } = await opened(
    t,
    sent('POST /stream/a', 'Mcp-Session-Id: s', 'Content-Length: 0')
  )
  await upstream.send(responseHead('401 Unauthorized', `Content-Length: ${notFound.length}`) + 'Unauth')
  await connection.head()
  upstream.socket.resetAndDestroy()
  await connection.closed()
  t.match(observations, [{ status: 401, sessionNotFound: false }])
})

for (const [title, rest, gone] of [
  ['ends', '0\r\n\r\n', true],
  ['goes on', 'd\r\n in tenant db\r\n0\r\n\r\n', false],
  ['breaks off', undefined, false]
] as const) {
  await test(`a 401 in chunks that ${title} is passed on at once and told of at its end`, async t => {
    const { connection, upstream, observations } = await opened(
      t,
      sent('POST /stream/a', 'Mcp-Session-Id: s', 'Content-Length: 0')
    )
    const [begin, end] = [notFound.slice(0, 20), notFound.slice(20)]
    await upstream.send(responseHead('401 Unauthorized', 'Transfer-Encoding: chunked'))
    await upstream.send(`14\r\n${begin}\r\n`)
    await connection.bodyText(begin)
    await upstream.send(`b\r\n${end}\r\n`)
    await connection.bodyText(end)
    t.equal(observations.length, 0)
    if (rest === undefined) {
      upstream.socket.resetAndDestroy()
      await connection.closed()
    } else {
      await upstream.send(rest)
      await connection.done()
    }
    t.match(observations, [{ status: 401, sessionNotFound: gone }])
  })
}

await test('each observation comes before the bytes it speaks of', async t => {
  const server = await serveResponses(() => responseHead('200 OK', 'Mcp-Session-Id: s', 'Content-Length: 0'))
  t.teardown(() => server.close())
  let received = -1
  const { port } = await startProxyTo(t, server.url, {
    observe: () => {
      // What was written by now has arrived by the end of a blocking wait.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
      received = connection.received
    }
  })
  const connection = await connectTo(port)
  t.teardown(() => connection.socket.destroy())
  await connection.send(sent('POST /stream/a', 'Content-Length: 0'))
  await connection.done()
  t.equal(received, 0)
})

const sseHead = responseHead('200 OK', 'Content-Type: text/event-stream; charset=utf-8')
const opening = 'event: endpoint\ndata: /message?sessionId=s1&endpointId=e\n\n'

const endpointEvents: Record<string, string> = {
  'as rmcp writes it': opening,
  'with CRLF': opening.replaceAll('\n', '\r\n'),
  'with CR': opening.replaceAll('\n', '\r'),
  'with a byte order mark': `\xef\xbb\xbf${opening}`,
  'without spaces': opening.replaceAll(': ', ':'),
  'with the data first': 'data: /message?sessionId=s1\nevent: endpoint\n\n',
  'with an absolute URL': 'event: endpoint\ndata: https://h:1/m?endpointId=e&session_id=s1#x\n\n',
  'with a bare query': 'event: endpoint\ndata: ?sessionId=s1\n\n',
  'over two lines': 'event: endpoint\ndata: /message?session\ndata: Id=s1\n\n',
  'with an encoded id': 'event: endpoint\ndata: /message?sessionId=%731\n\n',
  'behind comments and other events': `: hello\n\nretry: 1\n\nevent: x\ndata: /m?sessionId=no\n\n\n${opening}`,
  'with an id and a retry': `id: 1\nretry: 5\n${opening}`
}

for (const [name, text] of Object.entries(endpointEvents)) {
  for (const size of [1, 7, 10_000]) {
    await test(`the endpoint event ${name}, in parts of ${size} bytes`, async t => {
      const { connection, upstream, observations } = await opened(t, sent('GET /e%31/sse'))
      await upstream.send(sseHead)
      await connection.head()
      for (let at = 0; at < text.length; at += size) {
        const part = text.slice(at, at + size)
        await upstream.send(part)
        await connection.until(({ reader }) => reader.text().length === at + part.length)
      }
      t.match(observations, [{ kind: 'legacy-opened', endpointId: 'e1', sessionId: 's1', client }])
      await upstream.send('data: more\n\nevent: endpoint\ndata: /m?sessionId=other\n\n')
      await connection.bodyText('other')
      t.equal(observations.length, 1, 'only the first one counts')
    })
  }
}

await test('an endpoint event with a long id', async t => {
  const { connection, upstream, observations } = await opened(t, sent('GET /e/sse'))
  const sessionId = 'x'.repeat(60_000)
  await upstream.send(`${sseHead}${opening.replace('s1', sessionId)}`)
  await connection.bodyText('endpointId=e\n\n')
  t.strictSame(
    observations.map(each => 'sessionId' in each && each.sessionId),
    [sessionId]
  )
})

await test('a legacy stream ends once, from whichever side', async t => {
  const ends: Record<string, (connection: RawConnection, upstream: RawConnection) => Promise<void>> = {
    'the client closes': async (connection, upstream) => {
      connection.socket.destroy()
      await upstream.closed()
    },
    'the client resets': async (connection, upstream) => {
      connection.socket.resetAndDestroy()
      await upstream.closed()
    },
    'the upstream ends': async (connection, upstream) => {
      upstream.socket.end()
      await connection.done()
    },
    'the upstream resets': async (connection, upstream) => {
      upstream.socket.resetAndDestroy()
      await connection.closed()
    }
  }
  for (const [name, end] of Object.entries(ends)) {
    const { connection, upstream, observations } = await opened(t, sent('GET /e/sse'))
    await upstream.send(sseHead + opening)
    await connection.bodyText('sessionId')
    await end(connection, upstream)
    t.same(
      observations.map(({ kind }) => kind),
      ['legacy-opened', 'legacy-ended'],
      name
    )
    t.match(observations[1], { endpointId: 'e', sessionId: 's1', client })
  }
})

await test('the end of a legacy stream is observed before the client is told', async t => {
  const { connection, upstream, observations } = await opened(t, sent('GET /e/sse'))
  await upstream.send(responseHead('200 OK', 'Content-Type: text/event-stream', 'Transfer-Encoding: chunked'))
  await upstream.send(`${opening.length.toString(16)}\r\n${opening}\r\n0\r\n\r\n`)
  await connection.done()
  t.same(
    observations.map(({ kind }) => kind),
    ['legacy-opened', 'legacy-ended']
  )
})

await test('closing the proxy ends its legacy streams first', async t => {
  const server = await startUpstream(t, async each => {
    await each.done()
    await each.send(sseHead + opening)
  })
  const { port, observations, proxy } = await startProxyTo(t, server.url)
  const connection = await connectTo(port)
  await connection.send(sent('GET /e/sse'))
  await connection.bodyText('sessionId')
  await proxy.close(0)
  t.same(
    observations.map(({ kind }) => kind),
    ['legacy-opened', 'legacy-ended']
  )
})

await test('other responses to GET /E/sse are no legacy stream', async t => {
  for (const reply of [
    responseHead('200 OK', 'Content-Type: text/plain') + opening,
    responseHead('404 Not Found', 'Content-Type: text/event-stream') + opening,
    `${sseHead}event: endpoint\n\n`,
    `${sseHead}event: endpoint\ndata: /message?sessionId=s1\n`,
    `${sseHead}: ${'x'.repeat(65_536)}\n\n${opening}`
  ]) {
    const { connection, upstream, observations } = await opened(t, sent('GET /e/sse'))
    await upstream.send(reply)
    upstream.socket.end()
    await connection.done()
    t.same(observations, [])
  }
})

await test('an IPv4 client on an IPv6 socket has an IPv4 address', async t => {
  const server = await serveResponses(() => responseHead('200 OK', 'Content-Length: 0'))
  t.teardown(() => server.close())
  const { port, observations } = await startProxyTo(t, server.url, { host: '::' })
  const connection = await connectTo(port)
  await connection.send(sent('GET /stream/a'))
  await connection.done()
  connection.socket.destroy()
  t.match(observations, [{ client: { address: '127.0.0.1' } }])
})

for (const [title, body, messages] of [
  ['messages of the server', 'data: {}\n\n', 1],
  ['a comment that keeps the stream alive', ':\n\n', 0],
  ['a bare line end that does', '\r\n', 0],
  ['a comment with a message behind it', ': ping\n\ndata: {}\n\n', 1]
] as const) {
  await test(`on a session's stream: ${title}`, async t => {
    const observations = await observed(
      t,
      sent('GET /stream/a', 'mcp-session-id: s1'),
      responseHead('200 OK', 'Content-Type: text/event-stream', `Content-Length: ${body.length}`) + body
    )
    const [head, ...rest] = observations
    t.match(head, { kind: 'streamable', status: 200 })
    t.match(rest.pop(), { kind: 'upstream-ended', endpointId: 'a', sessionId: 's1', client })
    t.equal(rest.length, messages)
    for (const message of rest)
      t.match(message, { kind: 'server-message', endpointId: 'a', sessionId: 's1', client })
  })
}

await test("on a session's stream: a comment in two parts", async t => {
  const { connection, upstream, observations } = await opened(t, sent('GET /stream/a', 'mcp-session-id: s1'))
  await upstream.send(sseHead)
  for (const part of [': pi', 'ng\n\n', 'data: {}\n\n']) {
    await upstream.send(part)
    await connection.bodyText(part)
  }
  t.same(
    observations.map(({ kind }) => kind),
    ['streamable', 'server-message']
  )
})

for (const [title, line, end, ended] of [
  ['that the upstream resets', 'GET /stream/a', 'upstream', true],
  ['that its client leaves', 'GET /stream/a', 'client', false],
  ['of a POST', 'POST /stream/a', 'upstream', false]
] as const) {
  await test(`the end of a session's stream ${title}`, async t => {
    const { connection, upstream, observations } = await opened(
      t,
      sent(line, 'mcp-session-id: s1', 'Content-Length: 0')
    )
    await upstream.send(`${sseHead}: ping\n\n`)
    await connection.bodyText('ping')
    if (end === 'client') connection.socket.destroy()
    else upstream.socket.resetAndDestroy()
    await (end === 'client' ? upstream.closed() : connection.closed())
    t.same(
      observations.map(({ kind }) => kind),
      ['streamable', ...(ended ? ['upstream-ended'] : [])]
    )
  })
}

for (const [title, line, body, expected] of [
  [
    'a whole request',
    'POST /stream/a',
    'Content-Length: 0',
    { kind: 'unanswered', endpointId: 'a', sessionId: 's1', client }
  ],
  ['a part of a request', 'POST /stream/a', 'Content-Length: 9', undefined]
] as const) {
  await test(`a client that sends ${title} and leaves before the response`, async t => {
    const { connection, upstream, observations } = await opened(
      t,
      sent(line, 'mcp-session-id: s1', body),
      at => at.head()
    )
    connection.socket.destroy()
    await upstream.closed()
    t.match(observations, expected ? [expected] : [])
    t.equal(observations.length, expected ? 1 : 0)
  })
}

const initialize =
  '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"clientInfo":{"name":"c","version":"1"}}}'
const result = '{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25","capabilities":{}}}'
const bothKnown = { clientName: 'c', clientVersion: '1', protocolVersion: '2025-11-25' }
const clientKnown = { ...bothKnown, protocolVersion: null }
const nothingKnown = { clientName: null, clientVersion: null, protocolVersion: null }
const big = ' '.repeat(65 * 1024)

const withLength = (body: string, ...fields: string[]): string =>
  responseHead('200 OK', 'Mcp-Session-Id: s', `Content-Length: ${body.length}`, ...fields) + body

for (const [title, body, reply, who] of [
  ['a JSON response', initialize, withLength(result, 'Content-Type: application/json'), bothKnown],
  [
    'an event stream as rmcp begins it',
    initialize,
    withLength(`data: \nid: 0\nretry: 3000\n\ndata: ${result}\n\n`, 'Content-Type: text/event-stream'),
    bothKnown
  ],
  [
    'a response in parts',
    initialize,
    responseHead('200 OK', 'Mcp-Session-Id: s', 'Transfer-Encoding: chunked') +
      `a\r\n${result.slice(0, 10)}\r\n${(result.length - 10).toString(16)}\r\n${result.slice(10)}\r\n0\r\n\r\n`,
    bothKnown
  ],
  ['a compressed response', initialize, withLength('\x1f\x8b\x08', 'Content-Encoding: gzip'), clientKnown],
  ['a response over the bound', initialize, withLength(big + result), clientKnown],
  [
    'a request over the bound',
    big + initialize,
    withLength(result),
    { ...nothingKnown, protocolVersion: '2025-11-25' }
  ],
  ['a broken request', initialize.slice(0, -1), withLength('{'), nothingKnown],
  ['a batch', `[${initialize}]`, withLength(`[${result}]`), bothKnown],
  ['a byte order mark on both', `\xef\xbb\xbf${initialize}`, withLength(`\xef\xbb\xbf${result}`), bothKnown],
  ['no body at all', '', withLength(''), nothingKnown]
] as const) {
  await test(`who opens a session: ${title}`, async t => {
    const observations = await observed(
      t,
      sent('POST /stream/a', `Content-Length: ${body.length}`) + body,
      reply
    )
    t.match(observations[0], { kind: 'streamable', issuedSessionId: 's' })
    t.strictSame(observations.slice(1), [
      { kind: 'identity', endpointId: 'a', sessionId: 's', clientInfo: who }
    ])
  })
}

for (const [title, fields, issued, sessionId] of [
  ['an empty session id', ['mcp-session-id:'], ['mcp-session-id: new'], 'new'],
  ['an id that is unknown to the server', ['mcp-session-id: old'], ['mcp-session-id: new'], 'new'],
  ['the id of its session', ['mcp-session-id: old'], ['mcp-session-id: old'], 'old'],
  ['the id of its session, which the response leaves out', ['mcp-session-id: old'], [], 'old']
] as const) {
  await test(`who opens a session: initialize with ${title}`, async t => {
    const observations = await observed(
      t,
      sent('POST /stream/a', ...fields, `Content-Length: ${initialize.length}`) + initialize,
      responseHead('200 OK', ...issued, `Content-Length: ${result.length}`) + result
    )
    t.strictSame(observations.slice(1), [
      { kind: 'identity', endpointId: 'a', sessionId, clientInfo: bothKnown }
    ])
  })
}

await test('what a server sends with a session in place of another is of the new one', async t => {
  const body = `data: ${result}\n\n`
  const observations = await observed(
    t,
    sent('POST /stream/a', 'mcp-session-id: old', `Content-Length: ${initialize.length}`) + initialize,
    withLength(body, 'Content-Type: text/event-stream').replace('Mcp-Session-Id: s', 'Mcp-Session-Id: new')
  )
  t.match(observations, [
    { kind: 'streamable', sessionId: 'old', issuedSessionId: 'new' },
    { kind: 'server-message', sessionId: 'new' },
    { kind: 'identity', sessionId: 'new', clientInfo: bothKnown }
  ])
})

await test('an empty session id is none, on either side', async t => {
  const [observation, ...others] = await observed(
    t,
    sent('POST /stream/a', 'mcp-session-id: ', 'Content-Length: 2') + '{}',
    responseHead('200 OK', 'mcp-session-id: ', 'Content-Length: 0')
  )
  t.has(observation, { sessionId: undefined, issuedSessionId: undefined })
  t.match(observation, { visitor: /^[\w-]{43}$/ })
  t.same(others, [])
})

await test('who opens a session is told as soon as it is known, though the stream goes on', async t => {
  const { connection, upstream, observations } = await opened(
    t,
    sent('POST /stream/a', `Content-Length: ${initialize.length}`) + initialize
  )
  await upstream.send(
    responseHead('200 OK', 'Mcp-Session-Id: s', 'Content-Type: text/event-stream') + `data: ${result}\n\n`
  )
  await connection.bodyText('capabilities')
  t.match(observations, [{ kind: 'streamable' }, { kind: 'identity', clientInfo: bothKnown }])
})

await test('a body that comes after its head is read too, and forwarded whole', async t => {
  let began: (connection: RawConnection) => void
  const connected = new Promise<RawConnection>(resolve => (began = resolve))
  const server = await startUpstream(t, each => began(each))
  const { port, observations } = await startProxyTo(t, server.url)
  const connection = await connectTo(port)
  t.teardown(() => connection.socket.destroy())
  const bytes = sent('POST /stream/a', `Content-Length: ${initialize.length}`) + initialize
  await connection.send(bytes.slice(0, -50))
  const upstream = await connected
  await connection.send(bytes.slice(-50))
  await upstream.done()
  t.equal(upstream.reader.text(), initialize)
  await upstream.send(withLength(result))
  await connection.done()
  t.match(observations, [
    { kind: 'streamable', rpcMethod: 'initialize' },
    { kind: 'identity', clientInfo: bothKnown }
  ])
})

await test('who opens a legacy session', async t => {
  const { connection, upstream, observations } = await opened(t, sent('GET /e/sse'))
  await upstream.send(sseHead + opening)
  await connection.bodyText('sessionId')
  await upstream.send(`: ping\n\nevent: message\ndata: ${result}\n\n`)
  await connection.bodyText('capabilities')
  await upstream.send(`event: message\ndata: ${result.replace('2025', '2024')}\n\n`)
  await connection.bodyText('2024')
  const who = { ...nothingKnown, protocolVersion: '2025-11-25' }
  t.match(observations, [
    { kind: 'legacy-opened' },
    { kind: 'identity', endpointId: 'e', sessionId: 's1', clientInfo: who }
  ])
  t.equal(observations.length, 2)

  const messages = await observed(
    t,
    sent('POST /message?sessionId=s1', `Content-Length: ${initialize.length}`) + initialize,
    responseHead('202 Accepted', 'Content-Length: 0')
  )
  t.match(messages[0], { kind: 'message', rpcMethod: 'initialize' })
  t.strictSame(messages.slice(1), [
    { kind: 'identity', endpointId: undefined, sessionId: 's1', clientInfo: clientKnown }
  ])
})

await test('the name of a legacy client of MCP 2026-07-28', async t => {
  const meta = '"io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"}'
  const revision = '"io.modelcontextprotocol/protocolVersion":"2026-07-28"'
  const body = `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{${revision},${meta}}}}`
  const accepted = responseHead('202 Accepted', 'Content-Length: 0')
  const line = sent('POST /message?sessionId=s1', `Content-Length: ${body.length}`)
  t.match(await observed(t, line + body, accepted), [
    { kind: 'message' },
    { kind: 'identity', sessionId: 's1', clientInfo: { ...clientKnown, protocolVersion: '2026-07-28' } }
  ])
  t.match(await observed(t, line + body, responseHead('404 Not Found', 'Content-Length: 0')), [
    { kind: 'message' }
  ])
})

const modern = (method: string, ...fields: string[]): string =>
  sent(
    'POST /stream/a',
    'MCP-Protocol-Version: 2026-07-28',
    `Mcp-Method: ${method}`,
    ...fields,
    'Content-Length: 0'
  )

await test('a session-less client, and its listen stream', async t => {
  const { connection, upstream, observations } = await opened(
    t,
    modern('subscriptions/listen', 'Authorization: Bearer x')
  )
  await upstream.send(responseHead('200 OK', 'Content-Type: text/event-stream') + ': ping\n\n')
  await connection.bodyText('ping')
  const [head] = observations
  t.match(head, { kind: 'streamable', visitor: /^[\w-]{43}$/, rpcMethod: 'subscriptions/listen' })
  t.notMatch(JSON.stringify(observations), 'Bearer')
  await upstream.send('data: {}\n\n')
  await connection.bodyText('data')
  connection.socket.destroy()
  await upstream.closed()
  const visitor = head?.kind === 'streamable' ? head.visitor : undefined
  t.match(observations.slice(1), [
    { kind: 'visit-message', visitor },
    { kind: 'listen-ended', visitor }
  ])
  t.equal(observations.length, 3)
})

await test('a listen stream may be JSON; other responses end nothing', async t => {
  const kinds = async (bytes: string, reply: string): Promise<string[]> =>
    (await observed(t, bytes, reply)).map(({ kind }) => kind)
  const listen = modern('subscriptions/listen')
  const json = responseHead('200 OK', 'Content-Type: application/json', 'Content-Length: 2') + '{}'
  t.same(await kinds(listen, json), ['streamable', 'listen-ended'])
  t.same(await kinds(modern('tools/list'), json), ['streamable'])
  t.same(await kinds(listen, responseHead('404 Not Found', 'Content-Length: 0')), ['streamable'])
  const withSession = modern('subscriptions/listen', 'Mcp-Session-Id: s')
  t.same(await kinds(withSession, json), ['streamable'])
})

for (const [title, fields, body, rpcMethod, rpcName] of [
  ['headers', ['Mcp-Method: tools/call', 'Mcp-Name: echo'], '{"method":"ping"}', 'tools/call', 'echo'],
  [
    'a body',
    [],
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}',
    'tools/call',
    'echo'
  ],
  ['the method first', [], '{"method":"tools/call","params":{"name":"echo"},"id":1}', 'tools/call', 'echo'],
  [
    'with _meta first',
    [],
    '{"method":"tools/call","params":{"_meta":{"progressToken":1},"name":"echo"}}',
    'tools/call',
    'echo'
  ],
  ['with spaces', [], ' {\n "id" : "a" , "method" : "ping" }', 'ping', undefined],
  [
    'a big body',
    [],
    `{"method":"tools/call","params":{"name":"echo","arguments":"${big}"}}`,
    'tools/call',
    'echo'
  ],
  ['not the method of an argument', [], '{"params":{"method":"no"},"method":"yes"}', undefined, undefined],
  ['a response of the client', [], '{"jsonrpc":"2.0","id":1,"result":{}}', undefined, undefined],
  ['no JSON', [], 'method', undefined, undefined]
] as const) {
  await test(`what a request asks for: ${title}`, async t => {
    const [observation] = await observed(
      t,
      sent('POST /stream/a', 'Mcp-Session-Id: s', ...fields, `Content-Length: ${body.length}`) + body,
      responseHead('202 Accepted', 'Content-Length: 0')
    )
    t.has(observation, { kind: 'streamable', rpcMethod, rpcName, visitor: undefined })
  })
}
