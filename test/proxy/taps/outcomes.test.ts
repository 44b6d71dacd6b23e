// Owns what the proxy reports of the outcome of each exchange: bytes as a relay counts them, calls, errors, what was not read.
import { once } from 'node:events'
import { connect } from 'node:net'
import { test, type Test } from 'tap'
import type { Outcome } from '../../../src/sessions/outcomes.js'
import { startCountingRelay } from '../../support/counting-relay.js'
import {
  type ProxyUnderTest,
  requestHead,
  responseHead,
  startProxyTo,
  startUpstream
} from '../../support/proxy-under-test.js'
import { connectTo, type RawConnection, serveResponses } from '../../support/raw-http.js'

const LAST_CHUNK = '0\r\n\r\n'
const SESSION = 'Mcp-Session-Id: s'
const isErrorResult = '{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":true}}'
const result = '{"jsonrpc":"2.0","id":1,"result":{"content":[]}}'

const call = (params = '{"name":"t"}'): string =>
  `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${params}}`
const post = (body: string, ...fields: string[]): string =>
  requestHead('POST /stream/a HTTP/1.1', `Content-Length: ${body.length}`, ...fields) + body
const json = (body: string, ...fields: string[]): string =>
  responseHead('200 OK', 'Content-Type: application/json', `Content-Length: ${body.length}`, ...fields) + body
const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`
const events = (...all: string[]): string =>
  responseHead('200 OK', 'Content-Type: text/event-stream', 'Transfer-Encoding: chunked') +
  all.map(data => chunk(`data: ${data}\n\n`)).join('') +
  LAST_CHUNK

const sumOf = ({ outcomes }: ProxyUnderTest): Outcome =>
  outcomes.reduce<Outcome>(
    (sum, { outcome }) => ({
      bytesIn: sum.bytesIn + outcome.bytesIn,
      bytesOut: sum.bytesOut + outcome.bytesOut,
      calls: sum.calls + outcome.calls,
      errors: sum.errors + outcome.errors,
      unread: sum.unread + outcome.unread
    }),
    { bytesIn: 0, bytesOut: 0, calls: 0, errors: 0, unread: 0 }
  )

/** Sends requests on one connection through a relay that counts; each upstream response is the next of `replies`. */
async function exchanged(
  t: Test,
  requests: readonly string[],
  replies: readonly string[]
): Promise<{ proxy: ProxyUnderTest; sum: Outcome }> {
  let at = 0
  const server = await serveResponses(() => replies[at++]!)
  t.teardown(() => server.close())
  const proxy = await startProxyTo(t, server.url)
  const relay = await startCountingRelay(t, proxy.port)
  for (const request of requests) {
    const connection = await connectTo(relay.port, request.slice(0, request.indexOf(' ')))
    await connection.send(request)
    await connection.done()
    connection.socket.destroy()
  }
  const sum = sumOf(proxy)
  t.same([sum.bytesIn, sum.bytesOut], [relay.bytesIn, relay.bytesOut], 'the relay counts the same bytes')
  return { proxy, sum }
}

/** A request under way: what was sent of it has arrived upstream. */
async function startCall(
  t: Test,
  request: string
): Promise<ProxyUnderTest & { client: RawConnection; upstream: RawConnection }> {
  let arrived: (connection: RawConnection) => void
  const connected = new Promise<RawConnection>(resolve => (arrived = resolve))
  const server = await startUpstream(t, connection => arrived(connection))
  const proxy = await startProxyTo(t, server.url)
  const client = await connectTo(proxy.port)
  t.teardown(() => client.socket.destroy())
  await client.send(request)
  const upstream = await connected
  await upstream.done()
  return { ...proxy, client, upstream }
}

await test('a call: bytes of both ways, and whose it is', async t => {
  const { proxy, sum } = await exchanged(t, [post(call(), SESSION)], [json(result)])
  t.match(proxy.outcomes, [{ transport: 2, endpointId: 'a', sessionId: 's' }])
  t.match(sum, { calls: 1, errors: 0, unread: 0 })
})

await test('requests on one connection have their own bytes, those between them are of no other one', async t => {
  const server = await serveResponses(() => json(result))
  t.teardown(() => server.close())
  const proxy = await startProxyTo(t, server.url)
  const relay = await startCountingRelay(t, proxy.port)
  const socket = connect(relay.port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  const ask = async (request: string): Promise<{ sent: number; got: number }> => {
    const before = relay.bytesOut
    const response = once(socket, 'data')
    socket.write(request)
    await response
    return { sent: request.length, got: relay.bytesOut - before }
  }
  const one = await ask(post(call(), SESSION))
  await ask(requestHead('GET /elsewhere HTTP/1.1'))
  proxy.proxy.drainedEndpoints.add('drained')
  await ask(post(call()).replace('/stream/a', '/stream/drained'))
  const two = await ask(post(call(), SESSION, 'X-More: bytes'))
  const [first, last] = [proxy.outcomes[0]!.outcome, proxy.outcomes.at(-1)!.outcome]
  t.match(
    [first, last],
    [
      { bytesIn: one.sent, bytesOut: one.got },
      { bytesIn: two.sent, bytesOut: two.got }
    ]
  )
})

await test('responses that are failures, as JSON and as events, in each way', async t => {
  for (const [name, reply, figures] of [
    ['a result', json(result), { errors: 0, unread: 0 }],
    ['a tool that failed', json(isErrorResult), { errors: 1, unread: 0 }],
    ['the same as an event', events(isErrorResult), { errors: 1, unread: 0 }],
    ['an event without a failure', events('{"method":"x"}', result), { errors: 0, unread: 0 }],
    ['an HTTP error', responseHead('500 No', 'Content-Length: 2') + 'no', { errors: 1, unread: 0 }],
    ['a refusal', responseHead('404 No', 'Content-Length: 0'), { errors: 1, unread: 0 }],
    ['a compressed one', json('zz', 'Content-Encoding: gzip'), { errors: 0, unread: 1 }],
    ['a large one', json(`{"text":"${'x'.repeat(70_000)}"}`), { errors: 0, unread: 1 }]
  ] as const) {
    const { sum } = await exchanged(t, [post(call(), SESSION)], [reply])
    t.match(sum, { calls: 1, ...figures }, name)
  }
})

await test('calls: rounds, batches, and what is none', async t => {
  for (const [body, calls, fields = []] of [
    [call(), 1],
    [call('{"name":"t","arguments":{"x":"requestState"}}'), 1],
    [call('{"name":"t","arguments":{"requestState":1}}'), 1],
    [call('{"name":"t","requestState":"abc"}'), 0],
    [call('{"name":"t","inputResponses":{}}'), 0],
    [call('{"name":"t","requestState":"abc"}'), 0, ['Mcp-Method: tools/call']],
    [`[${call()},{"method":"ping","id":2},${call()}]`, 2],
    ['{"params":{"name":"t"},"method":"tools/call","id":1}', 1],
    ['{"params":{"name":"t"},"method":"tools\\/call","id":1}', 1],
    ['{"jsonrpc":"2.0","id":1,"method":"tools/list"}', 0],
    ['{"jsonrpc":"2.0","id":1,"method":"x","params":{"name":"tools/call"}}', 0],
    ['{"jsonrpc":"2.0","id":1,"result":{"x":"tools/call"}}', 0],
    ['not json "tools/call"', 0]
  ] as const) {
    const { sum } = await exchanged(t, [post(body, SESSION, ...fields)], [json(result)])
    t.equal(sum.calls, calls, body)
  }
})

await test('a client without a session, accepted or refused, is the same one', async t => {
  const ask = post(call(), 'Mcp-Protocol-Version: 2026-07-28')
  const refusal = responseHead('400 No', 'Content-Length: 0')
  const { proxy } = await exchanged(t, [ask, ask], [json(result), refusal])
  const [one, two] = proxy.outcomes
  t.match(one, { transport: 3, endpointId: 'a', visitor: /./, outcome: { errors: 0 } })
  t.match(two, { visitor: one!.visitor, outcome: { calls: 1, errors: 1 } })
})

await test('a gateway that cannot be reached, and one that breaks off', async t => {
  const proxy = await startProxyTo(t, new URL('http://127.0.0.1:1'))
  const relay = await startCountingRelay(t, proxy.port)
  const connection = await connectTo(relay.port, 'POST')
  await connection.send(post(call(), SESSION))
  await connection.done()
  t.match(sumOf(proxy), { bytesIn: relay.bytesIn, bytesOut: relay.bytesOut, calls: 1, errors: 1, unread: 0 })
  for (const reply of [json(result).slice(0, -1), events(result).slice(0, 60)]) {
    const { client, upstream, ...rest } = await startCall(t, post(call(), SESSION))
    await upstream.send(reply)
    upstream.socket.end()
    await client.closed()
    t.match(sumOf(rest), { errors: 1, unread: 0 }, reply)
  }
})

await test('a client that leaves before the response leaves it unread; of a stream it has read all', async t => {
  const get = requestHead('GET /stream/a HTTP/1.1', SESSION, 'Accept: text/event-stream')
  const notification = '{"method":"x"}'
  for (const [request, reply, unread] of [
    [post(call(), SESSION), '', 1],
    [post(call(), SESSION), json(result).slice(0, -1), 1],
    [post(call(), SESSION), events(notification).slice(0, -LAST_CHUNK.length), 1],
    [post(call(), SESSION), events(result).slice(0, -LAST_CHUNK.length), 0],
    [post('{"method":"notifications/initialized"}', SESSION), '', 0],
    [
      post('{"method":"subscriptions/listen","id":1}', SESSION),
      events(notification).slice(0, -LAST_CHUNK.length),
      0
    ],
    [get, events(notification).slice(0, -LAST_CHUNK.length), 0]
  ] as const) {
    const { client, upstream, ...proxy } = await startCall(t, request)
    if (reply !== '') {
      await upstream.send(reply)
      await client.bodyText('}')
    }
    client.socket.destroy()
    await upstream.closed()
    t.equal(proxy.outcomes.length, 1)
    t.match(sumOf(proxy), { errors: 0, unread }, request + reply)
  }
})

await test('errors on a stream of many responses are told at once, its bytes while it lasts', async t => {
  const get = requestHead('GET /stream/a HTTP/1.1', SESSION, 'Accept: text/event-stream')
  const { client, upstream, proxy, ...under } = await startCall(t, get)
  await upstream.send(events(isErrorResult).slice(0, -LAST_CHUNK.length))
  await client.bodyText('isError')
  t.match(under.outcomes, [{ sessionId: 's', outcome: { bytesIn: 0, bytesOut: 0, errors: 1 } }])
  const later = Date.now() + 60_000
  proxy.notePresence(later, 1_000, 1)
  proxy.notePresence(later, 1_000, 1)
  t.equal(under.outcomes.length, 2)
  t.match(under.outcomes[1], { outcome: { errors: 0, calls: 0 } })
  t.ok(under.outcomes[1]!.outcome.bytesOut > isErrorResult.length)
  client.socket.destroy()
  await upstream.closed()
  t.match(under.outcomes.at(-1), { outcome: { bytesIn: 0, bytesOut: 0, errors: 0 } })
})
