// Owns the `endpoint` event of a legacy stream where the upstream's URLs are not the client's: its URL leads through the
// proxy, and nothing else of the stream changes.
import t from 'tap'
import type { ProxyOptions } from '../../src/proxy/proxy-server.js'
import { EndpointEvent } from '../../src/proxy/endpoint-event.js'
import { requestHead, responseHead, startProxyTo, startUpstream } from '../support/proxy-under-test.js'
import { connectTo, type RawConnection } from '../support/raw-http.js'

const replace = (url: string): string => url.replace(/^\/base/, '')

/** What a client gets of a stream that comes in parts of `size` bytes, until it ends. */
function passed(stream: string, size: number): string {
  const event = new EndpointEvent(replace)
  const parts: Buffer[] = []
  for (let at = 0; at < stream.length; at += size)
    parts.push(event.feed(Buffer.from(stream.slice(at, at + size), 'latin1')))
  return Buffer.concat([...parts, event.end()]).toString('latin1')
}

const more = 'event: endpoint\ndata: /base/second\n\ndata: /base/x\n\n\xe7\x9f\xa5'

for (const [title, event, expected] of [
  ['as servers write it', 'event: endpoint\ndata: /base/m?s=1\n\n', 'event: endpoint\ndata: /m?s=1\n\n'],
  ['with CRLF', 'event: endpoint\r\ndata: /base/m\r\n\r\n', 'event: endpoint\r\ndata: /m\r\n\r\n'],
  ['with CR', 'event:endpoint\rdata:/base/m\r\r', 'event:endpoint\rdata:/m\r\r'],
  [
    'with the data first',
    'id: 1\ndata: /base/m\nevent: endpoint\n\n',
    'id: 1\ndata: /m\nevent: endpoint\n\n'
  ],
  [
    'with a byte order mark',
    '\xef\xbb\xbfevent: endpoint\ndata: /base/m\n\n',
    '\xef\xbb\xbfevent: endpoint\ndata: /m\n\n'
  ],
  [
    'behind comments and another event',
    '\n: ping\n\r\n: data: /base/a\nevent: x\ndata: /base/b\n\nevent: endpoint\ndata: /base/c\n\n',
    '\n: ping\n\r\n: data: /base/a\nevent: x\ndata: /base/b\n\nevent: endpoint\ndata: /c\n\n'
  ],
  ['that is of another path', 'event: endpoint\ndata: /m?to=/base/\n\n', undefined],
  ['that is of another type', 'event: endpoints\ndata: /base/m\n\n'.repeat(300), undefined],
  ['over two lines', 'event: endpoint\ndata: /base\ndata: /m\n\n', undefined],
  ['without data', 'event: endpoint\nxdata: /base/m\n\n', undefined],
  ['too late', `: ${'x'.repeat(9_000)}\n\nevent: endpoint\ndata: /base/m\n\n`, undefined]
] as const) {
  void t.test(`an endpoint event ${title}`, t => {
    for (const size of [1, 2, 7, 100, 100_000])
      t.equal(passed(event + more, size), (expected ?? event) + more, `in parts of ${size} bytes`)
    t.end()
  })
}

void t.test('what is no whole event when the stream ends comes too', t => {
  for (const text of ['', 'event: endpoint\ndata: /base/m\n', ': ping\n\nevent: e', '\r\n\r'])
    for (const size of [1, 100]) t.equal(passed(text, size), text)
  t.end()
})

void t.test('what comes before the event is not held back', t => {
  const event = new EndpointEvent(replace)
  t.equal(event.feed(Buffer.from(': ping\n\nevent: en')).toString(), ': ping\n\n')
  t.equal(event.feed(Buffer.from('dpoint\ndata: /base/m')).toString(), '')
  t.equal(event.feed(Buffer.from('\n\ndata')).toString(), 'event: endpoint\ndata: /m\n\ndata')
  const part = Buffer.from(': /base/x')
  t.equal(event.feed(part), part)
  t.end()
})

const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`
const sse = responseHead('200 OK', 'Content-Type: text/event-stream', 'Transfer-Encoding: chunked')

for (const [title, base, options, url, expected] of [
  ['a base path', '/base', {}, '/base/message?sessionId=s', '/message?sessionId=s'],
  ['Host rewritten', '', { rewriteHost: true }, 'http://HOST/message?sessionId=s', '/message?sessionId=s'],
  ['neither', '', {}, 'http://HOST/message?sessionId=s', 'http://HOST/message?sessionId=s']
] as [string, string, Partial<ProxyOptions>, string, string][]) {
  void t.test(`a legacy stream through the proxy, with ${title}`, async t => {
    let arrived: (connection: RawConnection) => void
    const connected = new Promise<RawConnection>(resolve => (arrived = resolve))
    const server = await startUpstream(t, connection => arrived(connection))
    const { port, observations } = await startProxyTo(t, new URL(base, server.url), options)
    const client = await connectTo(port)
    t.teardown(() => client.socket.destroy())
    await client.send(
      requestHead('GET /e/sse HTTP/1.1', 'Accept-Encoding: gzip', 'Accept: text/event-stream')
    )
    const upstream = await connected
    await upstream.done()
    t.equal(upstream.reader.head?.startLine, `GET ${base}/e/sse HTTP/1.1`)
    t.equal(upstream.reader.value('accept-encoding'), title === 'neither' ? 'gzip' : undefined)
    await upstream.send(sse)
    await client.head()
    const event = `event: endpoint\ndata: ${url.replace('HOST', server.url.host)}\n\n`
    await upstream.send(chunk(event.slice(0, 20)))
    await upstream.send(chunk(`${event.slice(20)}data: x\n\n`))
    await client.bodyText('data: x\n\n')
    const rest = 'event: endpoint\ndata: /base/y\n\nevent: end'
    await upstream.send(`${chunk(rest)}0\r\n\r\n`)
    await client.done()
    const whole = `event: endpoint\ndata: ${expected.replace('HOST', server.url.host)}\n\ndata: x\n\n`
    t.equal(client.reader.text(), whole + rest)
    t.ok(client.reader.complete)
    t.match(observations, [
      { kind: 'legacy-opened', endpointId: 'e', sessionId: 's' },
      { kind: 'legacy-ended', sessionId: 's' }
    ])
  })
}

void t.test(
  'a stream that ends within its first event, one that has a length, and one that is compressed',
  async t => {
    const start = 'event: endpoint\ndata: /base/m?sessionId=s\n'
    for (const reply of [
      `${sse}${chunk(start)}0\r\n\r\n`,
      responseHead('200 OK', 'Content-Type: text/event-stream', `Content-Length: ${start.length}`) + start,
      responseHead('200 OK', 'Content-Type: text/event-stream', 'Content-Encoding: gzip') + start
    ]) {
      const server = await startUpstream(t, async connection => {
        await connection.done()
        await connection.send(reply)
        connection.socket.end()
      })
      const { port } = await startProxyTo(t, new URL('/base', server.url))
      const client = await connectTo(port)
      await client.send(requestHead('GET /e/sse HTTP/1.1'))
      await client.done()
      t.equal(client.reader.text(), start)
      client.socket.destroy()
    }
  }
)
