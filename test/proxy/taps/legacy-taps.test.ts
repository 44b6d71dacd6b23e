// Owns what the proxy reports of legacy streams and messages of all layouts, compressed ones too.
import { gzipSync } from 'node:zlib'
import { test, type Test } from 'tap'
import type { Observation } from '../../../src/sessions/observations.js'
import {
  compressors,
  initializeOf,
  type LegacyClient,
  type LegacyServerOptions,
  openLegacyStream,
  startLegacyServer
} from '../../support/legacy-server.js'
import { requestHead, responseHead, startProxyTo, startUpstream } from '../../support/proxy-under-test.js'
import { connectTo, serveResponses } from '../../support/raw-http.js'

/** A client of a server behind the proxy, and what was observed. */
async function opened(
  t: Test,
  options: LegacyServerOptions
): Promise<{ legacy: LegacyClient; observations: Observation[]; proxyUrl: string }> {
  const server = await startLegacyServer(t, options)
  const { proxy, observations } = await startProxyTo(t, server.url)
  const legacy = await openLegacyStream(`${proxy.url}/e1/sse`)
  t.teardown(() => legacy.close())
  return { legacy, observations, proxyUrl: proxy.url }
}

const layouts: [name: string, announce: (id: string, target: string) => string, id: string | RegExp][] = [
  ['rmcp', id => `/message?sessionId=${id}&endpointId=e1`, 'ID1abcdef'],
  ['Python SDK', id => `/messages/?session_id=${id}`, 'ID1abcdef'],
  ['Go SDK, which posts to the path of the stream', (id, target) => `${target}?sessionid=${id}`, 'ID1abcdef'],
  ['a relative URI', id => `messages?session=${id}`, 'ID1abcdef'],
  ['a path as a Streamable HTTP endpoint has it', id => `/stream/e2?client_id=${id}`, 'ID1abcdef'],
  ['an id in the path', id => `/servers/git/messages/${id}`, 'ID1abcdef'],
  ['no id at all', () => '/rpc', /^[\da-f-]{36}$/]
]

for (const [name, announce, sessionId] of layouts) {
  await test(`messages are known by what their stream announced: ${name}`, async t => {
    const { legacy, observations } = await opened(t, { announce, idOf: (_, ids) => ids[0] })
    t.equal(await legacy.post(undefined, initializeOf('n')), 202)
    t.match(observations.slice(0, 3), [
      { kind: 'legacy-opened', endpointId: 'e1', sessionId },
      { kind: 'message', endpointId: 'e1', sessionId, status: 202 },
      { kind: 'identity', endpointId: 'e1', sessionId, clientInfo: { clientName: 'n' } }
    ])
  })
}

await test('at the path of a stream, only what names a session is a message', async t => {
  const { legacy, observations } = await opened(t, { announce: id => `/e1/sse?sessionid=${id}` })
  await legacy.post('/e1/sse')
  t.same(
    observations.map(({ kind }) => kind),
    ['legacy-opened']
  )
  await legacy.post('/e2/sse?sessionid=elsewhere')
  t.match(observations[1], { kind: 'message', endpointId: 'e2', sessionId: 'elsewhere' })
})

for (const compressor of Object.keys(compressors) as (keyof typeof compressors)[]) {
  await test(`a stream in ${compressor} is read`, async t => {
    const announce = (id: string): string => `/rpc/${id}`
    const { legacy, observations } = await opened(t, { announce, compressor })
    t.match(observations, [{ kind: 'legacy-opened', endpointId: 'e1', sessionId: 'ID1abcdef' }])
    await legacy.post(undefined, initializeOf('n'))
    while (observations.length < 4) await new Promise(setImmediate)
    t.match(observations[3], { kind: 'identity', clientInfo: { protocolVersion: '2024-11-05' } })
    await legacy.close()
    while (observations.length < 5) await new Promise(setImmediate)
    t.match(observations[4], { kind: 'legacy-ended', sessionId: 'ID1abcdef' })
  })
}

const event = gzipSync('event: endpoint\ndata: /message?sessionId=s\n\n').toString('latin1')

await test('a compressed stream is read and passed on in whichever parts it comes', async t => {
  const upstream = await startUpstream(t, async each => {
    await each.done()
    await each.send(responseHead('200 OK', 'Content-Type: text/event-stream', 'Content-Encoding: GZIP'))
    for (const byte of event) await each.send(byte)
  })
  const { port, observations } = await startProxyTo(t, upstream.url)
  const connection = await connectTo(port)
  t.teardown(() => connection.socket.destroy())
  await connection.send(requestHead('GET /e/sse HTTP/1.1'))
  await connection.until(({ reader }) => reader.text().length === event.length)
  t.match(observations, [{ kind: 'legacy-opened', sessionId: 's' }])
})

for (const [name, coding, body] of [
  ['of an unknown coding', 'compress', event],
  ['of two codings', 'gzip, br', event],
  ['that is not in its coding', 'gzip', 'event: endpoint\ndata: /message?sessionId=s\n\n'],
  ['that decodes to far too much', 'gzip', gzipSync(`: ${'x'.repeat(10_000_000)}`).toString('latin1')],
  ['without an endpoint event', 'identity', `data: ${'x'.repeat(66_000)}\n\n`]
] as const) {
  await test(`a stream ${name} is passed on, and said to be unreadable once`, async t => {
    const head = responseHead(
      '200 OK',
      'Content-Type: text/event-stream',
      `Content-Encoding: ${coding}`,
      `Content-Length: ${body.length}`
    )
    const upstream = await serveResponses(() => head + body)
    t.teardown(() => upstream.close())
    const { proxy, port, observations, logs } = await startProxyTo(t, upstream.url)
    for (let i = 0; i < 2; i++) {
      const connection = await connectTo(port)
      await connection.send(requestHead('GET /e/sse HTTP/1.1'))
      await connection.done()
      t.ok(connection.reader.text() === body)
      connection.socket.destroy()
    }
    t.same(observations, [])
    t.equal(logs.length, 1)
    t.match(logs[0], { level: 40, msg: /legacy stream cannot be read/ })
    const metric = proxy.metrics().find(each => each.name === 'turnstile_unreadable_streams_total')
    t.match(metric, { values: [{ value: 2 }] })
  })
}
