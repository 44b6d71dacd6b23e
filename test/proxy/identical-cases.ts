// Owns the list of exchanges that must be the same through the proxy: methods, framings, sizes, codes and breaks.
import { responseHead, requestHead } from '../support/proxy-under-test.js'
import type { RawConnection } from '../support/raw-http.js'

export interface Case {
  name: string
  request: string | Buffer | ((client: RawConnection) => Promise<void>)
  /** Sent when the request is complete, or what the upstream does. */
  response: string | Buffer | ((upstream: RawConnection) => Promise<void>)
  /** What the client does after sending; otherwise it reads until the response is complete or the connection ends. */
  client?: (client: RawConnection) => Promise<void>
  /** How the response ends. */
  ending?: 'whole' | 'broken' | 'nothing'
  /** The body's framing may change: it was chunked and came at once. */
  reframed?: boolean
}

const ok = responseHead('200 OK', 'Content-Type: text/plain', 'Content-Length: 2') + 'ok'
const chunkedHead = responseHead('200 OK', 'Content-Type: text/event-stream', 'Transfer-Encoding: chunked')

function getOf(target: string, ...fields: string[]): string {
  return requestHead(`GET ${target} HTTP/1.1`, ...fields)
}

function post(body: string, ...fields: string[]): string {
  return requestHead('POST /stream/a HTTP/1.1', `Content-Length: ${body.length}`, ...fields) + body
}

function chunk(data: string): string {
  return `${data.length.toString(16)}\r\n${data}\r\n`
}

/** Bytes that do not repeat in any block size in use. */
function bytes(length: number): Buffer {
  const buffer = Buffer.allocUnsafe(length)
  for (let i = 0; i < length; i++) buffer[i] = (i * 31 + (i >> 8) * 7 + (i >> 16) * 3) & 0xff
  return buffer
}

function sized(length: number): Case[] {
  const label = length >= 1e6 ? `${length / 1e6} MB` : `${length} B`
  const body = bytes(length)
  return [
    {
      name: `POST of ${label}`,
      request: Buffer.concat([
        Buffer.from(requestHead('POST /x HTTP/1.1', `Content-Length: ${length}`)),
        body
      ]),
      response: ok
    },
    {
      name: `response of ${label} with a length`,
      request: getOf('/x'),
      response: Buffer.concat([Buffer.from(responseHead('200 OK', `Content-Length: ${length}`)), body])
    },
    {
      name: `response of ${label} in chunks`,
      request: getOf('/x'),
      response: Buffer.concat([
        Buffer.from(responseHead('200 OK', 'Transfer-Encoding: chunked')),
        ...chunksOf(body),
        Buffer.from('0\r\n\r\n')
      ])
    }
  ]
}

function chunksOf(body: Buffer): Buffer[] {
  const chunks: Buffer[] = []
  for (let at = 0, size = 1; at < body.length; at += size, size = Math.min(size * 3, 100_000)) {
    const data = body.subarray(at, at + size)
    chunks.push(Buffer.from(`${data.length.toString(16)}\r\n`), data, Buffer.from('\r\n'))
  }
  return chunks
}

function fin(...parts: string[]): (upstream: RawConnection) => Promise<void> {
  return async upstream => {
    await upstream.done()
    for (const part of parts) await upstream.send(part)
    upstream.socket.end()
  }
}

/** Waits for the client to have what was sent, so that the reset does not overtake it. */
function reset(head: string, body: string): Pick<Case, 'response' | 'client'> {
  let arrived: () => void
  return {
    async response(upstream) {
      const there = new Promise<void>(resolve => (arrived = resolve))
      await upstream.done()
      await upstream.send(head + body)
      await there
      upstream.socket.resetAndDestroy()
    },
    async client(client) {
      await client.head()
      await client.until(({ received }) => received > 0)
      arrived()
      await client.done()
    }
  }
}

export const identicalCases: Case[] = [
  // Methods
  ...['GET', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'REPORT'].map(method => ({
    name: `${method} without a body`,
    request: requestHead(`${method} /stream/a HTTP/1.1`, 'Accept: */*'),
    response: ok
  })),
  ...['POST', 'PUT', 'PATCH', 'DELETE', 'GET', 'OPTIONS', 'SEARCH'].map(method => ({
    name: `${method} with a body`,
    request: requestHead(`${method} /stream/a HTTP/1.1`, 'Content-Length: 4') + '{"a"',
    response: ok
  })),
  { name: 'POST of nothing, with a length', request: post(''), response: ok },
  { name: 'POST without a length', request: requestHead('POST /x HTTP/1.1'), response: ok },
  {
    name: 'DELETE with an empty chunked body',
    request: requestHead('DELETE /stream/a HTTP/1.1', 'Transfer-Encoding: chunked') + '0\r\n\r\n',
    response: responseHead('202 Accepted', 'Content-Length: 0'),
    reframed: true
  },
  {
    name: 'HEAD with a length',
    request: requestHead('HEAD /x HTTP/1.1'),
    response: responseHead('200 OK', 'Content-Length: 1234', 'ETag: "x"')
  },
  {
    name: 'HEAD with chunked and trailer announced',
    request: requestHead('HEAD /x HTTP/1.1'),
    response: responseHead('200 OK', 'Transfer-Encoding: chunked', 'ETag: "x"')
  },
  {
    name: 'HEAD of nothing',
    request: requestHead('HEAD /x HTTP/1.1'),
    response: responseHead('404 Not Found')
  },

  // Sizes
  ...[0, 1, 65_535, 65_536, 1e6, 50e6].flatMap(sized),

  // Request targets
  ...[
    '/',
    '/?',
    '/a//b/../c/./d?x=1&x=2',
    '//host/path',
    '/%2e%2e/%2F%5c%00',
    '/a?b?c=d&e\'"<>|{}^`',
    '/stream/a?q=%zz',
    '/' + 'long/'.repeat(3000)
  ].map(target => ({ name: `target ${target.slice(0, 40)}`, request: getOf(target), response: ok })),

  // Request headers
  {
    name: 'request headers keep case, order and repetition',
    request: getOf(
      '/x',
      'x-b: 1',
      'X-A: 2',
      'X-b: 3',
      'ACCEPT: a',
      'accept: b',
      'Cookie: a=1',
      'Cookie: b=2'
    ),
    response: ok
  },
  {
    name: 'an empty header and spaces around',
    request: getOf('/x', 'X-Empty:', 'X-Spaces:  a  b\t '),
    response: ok
  },
  {
    name: 'bytes over 127 in request headers',
    request: getOf('/x', 'X-Name: caf\xe9 \xc3\xa9'),
    response: ok
  },
  { name: 'an empty Host', request: 'GET /x HTTP/1.1\r\nHost:\r\n\r\n', response: ok },
  { name: 'a Host of upper case', request: 'GET /x HTTP/1.1\r\nHOST: EXAMPLE.com:80\r\n\r\n', response: ok },
  {
    name: 'a hundred request headers',
    request: getOf('/x', ...Array.from({ length: 100 }, (_, i) => `X-${i}: ${'v'.repeat(i)}`)),
    response: ok
  },
  {
    name: 'three thousand request headers',
    request: getOf('/x', ...Array.from({ length: 3000 }, (_, i) => `X-${i}: v`)),
    response: ok
  },
  {
    name: 'Connection cannot take away what is accounted or frames',
    request: post('{}', 'Mcp-Session-Id: s', 'Connection: mcp-session-id, content-length, host, keep-alive'),
    response: ok
  },

  // Uploads
  {
    name: 'an upload in chunks over time',
    request: async client => {
      await client.send(requestHead('POST /x HTTP/1.1', 'Transfer-Encoding: chunked') + chunk('abc'))
      await client.until(({ reader }) => reader.interim.length === 1)
      await client.send(chunk('def') + '0\r\n\r\n')
    },
    response: async upstream => {
      await upstream.bodyText('abc')
      await upstream.send(responseHead('103 Early Hints', 'Link: </a.css>'))
      await upstream.done()
      await upstream.send(ok)
    }
  },
  {
    name: 'an upload in chunks at once',
    request:
      requestHead('POST /x HTTP/1.1', 'Transfer-Encoding: chunked') +
      chunk('abc') +
      chunk('de') +
      '0\r\n\r\n',
    response: ok,
    reframed: true
  },
  {
    name: 'an upload with a length over time',
    request: async client => {
      await client.send(requestHead('POST /x HTTP/1.1', 'Content-Length: 6'))
      for (const part of ['a', 'bc', 'def']) await client.send(part)
    },
    response: ok
  },
  {
    name: 'Expect: 100-continue',
    request: async client => {
      await client.send(requestHead('POST /x HTTP/1.1', 'Content-Length: 3', 'Expect: 100-continue'))
      await client.until(({ reader }) => reader.interim.length === 1)
      await client.send('abc')
    },
    response: async upstream => {
      await upstream.head()
      if (upstream.reader.value('expect') !== undefined) await upstream.send('HTTP/1.1 100 Continue\r\n\r\n')
      await upstream.done()
      await upstream.send(ok)
    }
  },
  {
    name: 'an early response to an upload, which then goes on',
    request: async client => {
      await client.send(requestHead('POST /x HTTP/1.1', 'Content-Length: 6') + 'abc')
      await client.head()
      await client.send('def')
    },
    response: async upstream => {
      await upstream.bodyText('abc')
      await upstream.send(chunkedHead + chunk('early'))
      await upstream.done()
      await upstream.send(chunk('late') + '0\r\n\r\n')
    }
  },
  {
    name: 'a client that breaks off its upload',
    request: async client => {
      await client.send(requestHead('POST /x HTTP/1.1', 'Content-Length: 1000') + 'abc')
    },
    response: async upstream => {
      await upstream.bodyText('abc')
      upstream.reader.body.push(Buffer.from('seen'))
      await upstream.closed()
    },
    client: async client => {
      await new Promise(resolve => setTimeout(resolve, 50))
      client.socket.destroy()
    },
    ending: 'nothing'
  },

  // Answers
  ...[
    '200 OK',
    '200 ',
    '200 Very well indeed',
    '201 Created',
    '206 Partial Content',
    '301 Moved',
    '400 Bad Request',
    '401 Unauthorized',
    '404 Not Found',
    '410 Gone',
    '429 Slow down',
    '500 Oops',
    '503 Down',
    '599 Own',
    '799 Own'
  ].map(status => ({
    name: `response ${status}`,
    request: getOf('/x'),
    response: responseHead(status, 'Location: /y', 'Retry-After: 1', 'Content-Length: 4') + 'body'
  })),
  {
    name: '202 of nothing',
    request: post('{}'),
    response: responseHead('202 Accepted', 'Content-Length: 0')
  },
  { name: '204', request: getOf('/x'), response: responseHead('204 No Content', 'X-A: b') },
  {
    name: '204 with a length of 0',
    request: getOf('/x'),
    response: responseHead('204 No Content', 'Content-Length: 0')
  },
  { name: '304', request: getOf('/x'), response: responseHead('304 Not Modified', 'ETag: "x"') },
  {
    name: '304 with a length',
    request: getOf('/x'),
    response: responseHead('304 Not Modified', 'ETag: "x"', 'Content-Length: 12')
  },
  {
    name: 'response headers keep case, order and repetition',
    request: getOf('/x'),
    response: responseHead(
      '200 OK',
      'set-cookie: a=1',
      'X-B: 1',
      'Set-Cookie: b=2',
      'x-b: 2',
      'DATE: today',
      'mcp-SESSION-id: s',
      'Content-Length: 0'
    )
  },
  {
    name: 'bytes over 127 in response headers, before the body',
    request: getOf('/x'),
    response: async upstream => {
      await upstream.done()
      await upstream.send(responseHead('200 OK', 'X-Name: caf\xe9 \xc3\xa9', 'Content-Length: 2'))
      await upstream.send('ok')
    }
  },
  {
    name: 'a reason phrase in UTF-8',
    request: getOf('/x'),
    response: responseHead('200 D\xc3\xa9j\xc3\xa0 vu', 'Content-Length: 0')
  },
  {
    name: '103 Early Hints, twice, and 102',
    request: getOf('/x'),
    response:
      responseHead('103 Early Hints', 'Link: </a.css>; rel=preload', 'link: </b.js>', 'X-Other: 1') +
      responseHead('102 Processing') +
      responseHead('103 Early Hints', 'Link: </c.css>') +
      ok
  },
  {
    name: 'trailers, announced',
    request: getOf('/x', 'TE: trailers'),
    response:
      responseHead('200 OK', 'Transfer-Encoding: chunked', 'Trailer: X-Sum') +
      chunk('abc') +
      '0\r\nX-Sum: 1\r\nx-sum: 2\r\n\r\n'
  },
  {
    name: 'trailers, not announced',
    request: getOf('/x'),
    response: chunkedHead + chunk('abc') + '0\r\nGrpc-Status: 0\r\n\r\n'
  },
  {
    name: 'headers named by Connection end at the proxy',
    request: getOf('/x', 'Connection: x-hop, close', 'X-Kept: 1'),
    response: responseHead(
      '200 OK',
      'Connection: Keep-Alive',
      'Keep-Alive: timeout=5',
      'X-Kept: 2',
      'Content-Length: 0'
    )
  },
  {
    name: 'a response head in single bytes',
    request: getOf('/x'),
    response: async upstream => {
      await upstream.done()
      for (const byte of responseHead('200 O', 'X-Name: value', 'Content-Length: 2') + 'ok')
        await upstream.send(byte)
    }
  },
  {
    name: 'a response until the connection closes',
    request: getOf('/x'),
    response: fin(responseHead('200 OK'), 'abc', 'def')
  },
  {
    name: 'a response of HTTP/1.0',
    request: getOf('/x'),
    response: fin('HTTP/1.0 200 OK\r\nX-A: b\r\n\r\n', 'abc')
  },
  {
    name: 'a request of HTTP/1.0',
    request: 'GET /x HTTP/1.0\r\nHost: gateway.example\r\nX-A: b\r\n\r\n',
    response: fin(responseHead('200 OK', 'X-A: b'), 'abc')
  },
  { name: 'a request of HTTP/1.0 without Host', request: 'GET /x HTTP/1.0\r\n\r\n', response: ok },
  {
    name: 'a 200 to a POST before its session',
    request: post('{}', 'Mcp-Session-Id: unknown'),
    response: ok
  },

  // Streams
  {
    name: 'headers before the first event',
    request: getOf('/stream/a', 'Accept: text/event-stream'),
    response: async upstream => {
      await upstream.done()
      await upstream.send(chunkedHead)
      await upstream.until(({ received }) => received > 0)
    },
    client: client => client.head(),
    ending: 'broken'
  },
  {
    name: 'headers with a length before the body',
    request: getOf('/x'),
    response: async upstream => {
      await upstream.done()
      await upstream.send(responseHead('200 OK', 'Content-Length: 3'))
    },
    client: client => client.head(),
    ending: 'broken'
  },
  {
    name: 'events one by one, in UTF-8 split anywhere',
    request: getOf('/stream/a'),
    response: async upstream => {
      await upstream.done()
      await upstream.send(chunkedHead)
      for (const byte of Buffer.from('data: h\u00e9llo \u{1f980}\n\n'))
        await upstream.send(chunk(String.fromCharCode(byte)))
      await upstream.send('0\r\n\r\n')
    }
  },

  // Breaks
  {
    name: 'FIN in the middle of a chunk',
    request: getOf('/x'),
    response: fin(chunkedHead + '5\r\nab'),
    ending: 'broken'
  },
  {
    name: 'FIN in a chunk size',
    request: getOf('/x'),
    response: fin(`${chunkedHead}3\r\nabc\r\n1`),
    ending: 'broken'
  },
  {
    name: 'FIN before the last chunk',
    request: getOf('/x'),
    response: fin(chunkedHead, chunk('abc')),
    ending: 'broken'
  },
  {
    name: 'FIN in the trailers',
    request: getOf('/x'),
    response: fin(`${chunkedHead}0\r\nX-A: b\r\n`),
    ending: 'broken'
  },
  {
    name: 'FIN short of the length',
    request: getOf('/x'),
    response: fin(responseHead('200 OK', 'Content-Length: 10'), 'abc'),
    ending: 'broken'
  },
  {
    name: 'reset in a chunked response',
    request: getOf('/x'),
    ...reset(chunkedHead, chunk('abc')),
    ending: 'broken'
  },
  {
    name: 'reset short of the length',
    request: getOf('/x'),
    ...reset(responseHead('200 OK', 'Content-Length: 10'), 'abc'),
    ending: 'broken'
  },
  {
    name: 'reset short of the length of a last response',
    request: getOf('/x'),
    ...reset(responseHead('200 OK', 'Connection: close', 'Content-Length: 10'), 'abc'),
    ending: 'broken'
  },
  {
    name: 'reset in a response until the connection closes',
    request: getOf('/x'),
    ...reset(responseHead('200 OK'), 'abc'),
    ending: 'broken'
  },
  {
    name: 'reset in a response to HTTP/1.0',
    request: 'GET /x HTTP/1.0\r\nHost: a\r\n\r\n',
    ...reset(responseHead('200 OK'), 'abc'),
    ending: 'broken'
  },
  {
    name: 'a client that leaves before the head of the response',
    request: getOf('/x'),
    response: upstream => upstream.closed(),
    client: async client => {
      await new Promise(resolve => setTimeout(resolve, 50))
      client.socket.destroy()
    },
    ending: 'nothing'
  },
  {
    name: 'a client that leaves a stream',
    request: getOf('/stream/a'),
    response: async upstream => {
      await upstream.done()
      await upstream.send(chunkedHead + chunk('event'))
      await upstream.closed()
    },
    client: async client => {
      await client.bodyText('event')
      client.socket.resetAndDestroy()
    },
    ending: 'broken'
  }
]
