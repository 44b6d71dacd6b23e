// Owns `--sse-keep-alive`: a quiet event stream gets comments, between its events and nowhere else, and nobody else notices.
import { test, type Test } from 'tap'
import {
  type ProxyUnderTest,
  requestHead,
  responseHead,
  startProxyTo,
  startUpstream
} from '../../support/proxy-under-test.js'
import { connectTo, type RawConnection } from '../../support/raw-http.js'

const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`
const eventStream = ['Content-Type: text/event-stream', 'Transfer-Encoding: chunked']
const comment = ':\n\n'

interface Streams extends ProxyUnderTest {
  /** A client, and the upstream's end, behind the head of its response. */
  open: (fields: string[], line?: string) => Promise<{ client: RawConnection; upstream: RawConnection }>
  /** Resolves when a stream that began now has got three comments. */
  quietTime: () => Promise<void>
}

/** Streams through one proxy that comments after 50 ms. */
async function streams(t: Test, sseKeepAliveMs = 50): Promise<Streams> {
  const opened: ((connection: RawConnection) => void)[] = []
  const server = await startUpstream(t, async connection => {
    await connection.done()
    opened.shift()?.(connection)
  })
  const start = async (proxy: ProxyUnderTest, fields: string[], line = 'GET /stream/a HTTP/1.1') => {
    const arrived = new Promise<RawConnection>(resolve => opened.push(resolve))
    const client = await connectTo(proxy.port)
    t.teardown(() => client.socket.destroy())
    await client.send(requestHead(line, 'Mcp-Session-Id: s'))
    const upstream = await arrived
    await upstream.send(responseHead('200 OK', ...fields))
    await client.head()
    return { client, upstream }
  }
  const proxy = await startProxyTo(t, server.url, { sseKeepAliveMs })
  const clock = sseKeepAliveMs > 0 ? proxy : await startProxyTo(t, server.url, { sseKeepAliveMs: 50 })
  return {
    ...proxy,
    open: (fields, line) => start(proxy, fields, line),
    async quietTime() {
      const { client } = await start(clock, eventStream)
      await client.bodyText(comment.repeat(3))
    }
  }
}

await test('a quiet stream gets comments before its first event, between its events, and none behind its end', async t => {
  const { open } = await streams(t)
  const { client, upstream } = await open(eventStream)
  await client.bodyText(comment.repeat(2))
  await upstream.send(chunk('data: 1\n\n'))
  await client.bodyText(`data: 1\n\n${comment.repeat(2)}`)
  await upstream.send(chunk('data: 2\n\n') + '0\r\n\r\n')
  await client.done()
  t.match(client.reader.text(), /^(:\n\n)+data: 1\n\n(:\n\n)+data: 2\n\n$/)
})

for (const end of ['\n', '\r', '\r\n']) {
  await test(`no comment comes within an event with the line end ${JSON.stringify(end)}`, async t => {
    const { open, quietTime } = await streams(t)
    const { client, upstream } = await open(eventStream)
    let sent = ''
    for (const part of ['data: 1', end, `data: 2${end}`]) {
      await upstream.send(chunk(part))
      sent += part
      await client.until(({ reader }) => reader.text().endsWith(sent))
      const before = client.reader.text()
      await quietTime()
      t.equal(client.reader.text(), before)
    }
    await upstream.send(chunk(end))
    await client.bodyText(end + end + comment)
  })
}

for (const [what, fields, line] of [
  ['a body with a length', ['Content-Type: text/event-stream', 'Content-Length: 100']],
  ['a compressed body', [...eventStream, 'Content-Encoding: gzip']],
  ['a body of another type', ['Content-Type: application/json', 'Transfer-Encoding: chunked']],
  ['a body for a client of HTTP/1.0', eventStream, 'GET /stream/a HTTP/1.0']
] as const) {
  await test(`no comment comes within ${what}`, async t => {
    const { open, quietTime } = await streams(t)
    const { client } = await open([...fields], line)
    await quietTime()
    t.equal(client.reader.text() + client.reader.rest.toString(), '')
  })
}

await test('by default no comment comes', async t => {
  const { open, quietTime } = await streams(t, 0)
  const { client } = await open(eventStream)
  await quietTime()
  t.equal(client.reader.text(), '')
})

await test('a comment is no use of the session, and never goes upstream', async t => {
  const { open, observations } = await streams(t)
  const { client, upstream } = await open(eventStream)
  const { length } = observations
  const { received } = upstream
  await client.bodyText(comment.repeat(3))
  t.equal(observations.length, length)
  t.equal(upstream.received, received)
})
