// Owns which exchanges keep a session or a session-less client present while they last.
import { test } from 'tap'
import type { Observation } from '../../../src/sessions/observations.js'
import {
  requestHead,
  responseHead,
  startExchange,
  startProxyTo,
  startUpstream
} from '../../support/proxy-under-test.js'
import { connectTo } from '../../support/raw-http.js'

const AT = 4_000_000_000_000
const sse = responseHead('200 OK', 'Content-Type: text/event-stream', 'Transfer-Encoding: chunked')
const json = responseHead('200 OK', 'Content-Type: application/json', 'Content-Length: 100')
const session = 'Mcp-Session-Id: s'
const byTime = (observations: Observation[]): Observation[] =>
  observations.filter(observation => 'at' in observation && observation.at === AT)

for (const [name, line, fields, reply, kinds, withoutStreams = kinds] of [
  ['a call', 'POST /stream/a', [session], '', ['present']],
  ['a call with a stream', 'POST /stream/a', [session], sse, ['present']],
  ['a call with a long response', 'POST /stream/a', [session], json, ['present']],
  [
    'an initialize',
    'POST /stream/a',
    [],
    responseHead('200 OK', 'Content-Type: text/event-stream', session, 'Transfer-Encoding: chunked'),
    ['present']
  ],
  ['a stream', 'GET /stream/a', [session, 'Accept: text/event-stream'], sse, ['present'], []],
  ['a stream without a head', 'GET /stream/a', [session, 'Accept: text/event-stream'], '', ['present'], []],
  ['a call without a session', 'POST /stream/a', [], '', ['visit-message']],
  ['the same with a stream', 'POST /stream/a', [], sse, ['visit-message']],
  ['a DELETE', 'DELETE /stream/a', [session], '', []],
  ['a refused call', 'POST /stream/a', [session], responseHead('404 Not Found', 'Content-Length: 9'), []],
  ['a legacy stream', 'GET /a/sse', ['Accept: text/event-stream'], sse, []],
  ['what is not accounted', 'POST /other', [session], '', []]
] as const) {
  for (const streamIsUse of [true, false]) {
    await test(`${name}, streamIsUse ${streamIsUse}`, async t => {
      const { proxy, client, upstream, observations } = await startExchange(t, {
        line: `${line} HTTP/1.1`,
        fields: [...fields, 'Content-Length: 0'],
        options: { streamIsUse }
      })
      if (reply !== '') {
        await upstream.send(reply)
        await client.head()
      }
      proxy.notePresence(AT, 1_000, 1)
      const seen = byTime(observations)
      t.same(
        seen.map(({ kind }) => kind),
        streamIsUse ? kinds : withoutStreams
      )
      if (seen[0]?.kind === 'present') t.match(seen, [{ endpointId: 'a', sessionId: 's' }])
      client.socket.destroy()
      await upstream.closed()
      proxy.notePresence(AT, 1_000, 1)
      t.same(byTime(observations), seen, 'no more once it is over')
    })
  }
}

await test('of many exchanges a share is reported, and none that was in use just now', async t => {
  const server = await startUpstream(t, () => undefined)
  const { proxy, port, observations } = await startProxyTo(t, server.url)
  const clients = await Promise.all(Array.from({ length: 300 }, () => connectTo(port)))
  clients.forEach(({ socket }) => t.teardown(() => socket.destroy()))
  await Promise.all(
    clients.map(each => each.send(requestHead('POST /stream/a HTTP/1.1', session, 'Content-Length: 0')))
  )
  while (server.connections.length < clients.length) await new Promise(setImmediate)
  proxy.notePresence(Date.now(), 60_000, 1)
  t.equal(observations.length, 0)
  for (const [at, expected] of [
    [AT, 200],
    [AT + 1, 300],
    [AT + 2, 300],
    [AT + 1_000, 500]
  ] as const) {
    proxy.notePresence(at, 1_000, 0.5)
    t.equal(observations.length, expected)
  }
})

await test('the end of an exchange that lasted is noted, before what ended it makes the session suspect', async t => {
  for (const lastsMs of [0, 1_200]) {
    const { client, upstream, observations } = await startExchange(t, {
      line: 'GET /stream/a HTTP/1.1',
      fields: [session, 'Accept: text/event-stream']
    })
    await upstream.send(sse)
    await client.head()
    await new Promise(resolve => setTimeout(resolve, lastsMs))
    await upstream.send('0\r\n\r\n')
    await client.done()
    t.same(
      observations.map(({ kind }) => kind),
      ['streamable', ...(lastsMs > 0 ? ['present'] : []), 'upstream-ended']
    )
  }
})
