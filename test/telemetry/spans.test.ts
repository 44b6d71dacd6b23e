// Owns the spans of requests end to end: what they say, what they must not say, and whose children they are.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startFakeGateway } from '../support/fake-gateway.js'
import { OtlpReceiver, type OtlpSpan } from '../support/otlp-receiver.js'
import { Turnstile } from '../support/turnstile.js'

const [SERVER, ERROR] = [2, 2]
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const OTHER_TRACE = '0af7651916cd43dd8448eb211c80319c'
const PARENT = '00f067aa0ba902b7'

/** What the gateway says to the request with this `x-reply`. */
const replies: Record<string, [status: number, type: string, body: string]> = {
  'is-error': [200, 'application/json', '{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":true}}'],
  'rpc-error': [
    200,
    'text/event-stream',
    'data: {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"m"}}\n\n'
  ],
  'bad-code': [200, 'application/json', '{"jsonrpc":"2.0","id":1,"error":{"code":"x","message":"m"}}'],
  'http-error': [400, 'text/plain', 'no'],
  negotiated: [200, 'application/json', '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18"}}']
}
const seenHeaders: string[][] = []
const gateway = await startFakeGateway(({ headers, rawHeaders, socket }, response) => {
  seenHeaders.push(rawHeaders)
  const name = String(headers['x-reply'])
  if (name === 'cut') socket.destroy()
  if (!(name in replies)) return name === 'cut'
  const [status, type, body] = replies[name]!
  response.writeHead(status, { 'content-type': type, 'mcp-session-id': 'a-session-of-the-gateway' }).end(body)
  return true
})
t.teardown(() => gateway.stop())

async function start(
  t: Pick<Test, 'teardown' | 'testdir'>,
  flags: string[] = [],
  variables: Record<string, string> = {}
) {
  const receiver = await OtlpReceiver.start()
  t.teardown(() => receiver.stop())
  const env = { ...receiver.variables, ...variables }
  const turnstile = await Turnstile.start(gateway.url, t.testdir(), flags, [], undefined, env)
  t.teardown(() => turnstile.stop())
  return { receiver, turnstile, url: `${turnstile.proxyUrl}/stream/e` }
}

// Most tests share one.
const shared = start(t)

const post = async (url: string, message: object, headers: Record<string, string> = {}): Promise<Headers> => {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, ...message })
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...headers
    },
    body
  })
  await response.text()
  return response.headers
}

const named = (name: string) => (span: OtlpSpan) => span.name === name
const replied = (name: string) => ({ 'x-reply': name, 'x-request-id': name })
const requestOf = (id: string) => (span: OtlpSpan) => span.attributes['turnstile.request.id'] === id

void t.test('a span says of a tool call what the conventions want, and shows no session id', async t => {
  const before = Date.now()
  const { receiver, turnstile, url } = await start(t, ['--mask'], {
    OTEL_SERVICE_NAME: 'front-door',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test'
  })
  const id = (await post(url, { method: 'initialize' })).get('mcp-session-id')!
  await post(
    url,
    { method: 'tools/call', id: 'seven', params: { name: 'add', arguments: {} } },
    { 'mcp-session-id': id, 'mcp-protocol-version': '2025-11-25', 'x-request-id': 'r-1' }
  )
  const span = await receiver.span(named('tools/call add'))
  await turnstile.shipped()
  const [row] = await turnstile.connections()
  const { attributes, resource } = span
  for (const name of ['http.request.size', 'http.response.size']) t.ok(Number(attributes[name]) > 50, name)
  delete attributes['http.request.size']
  delete attributes['http.response.size']
  t.strictSame(attributes, {
    'gen_ai.operation.name': 'execute_tool',
    'gen_ai.tool.name': 'add',
    'http.request.method': 'POST',
    'http.response.status_code': 202,
    'jsonrpc.request.id': 'seven',
    'mcp.method.name': 'tools/call',
    'mcp.protocol.version': '2025-11-25',
    'mcp.session.id': row!.session_id,
    'network.protocol.name': 'http',
    'network.protocol.version': '1.1',
    'network.transport': 'tcp',
    'turnstile.endpoint': 'e',
    'turnstile.request.id': 'r-1',
    'turnstile.upstream': new URL(gateway.url).host,
    'url.path': '/stream/e'
  })
  t.not(row!.session_id, id, 'the admin API masks it')
  t.equal(span.kind, SERVER)
  t.not(span.status.code, ERROR)
  t.equal(span.parentSpanId ?? '', '')
  const [from, to] = [Number(span.startTimeUnixNano) / 1e6, Number(span.endTimeUnixNano) / 1e6]
  t.ok(from >= before && from <= to && to <= Date.now() + 1)
  t.match(resource, {
    'service.name': 'front-door',
    'service.instance.id': /^[0-9a-f-]{36}$/,
    'deployment.environment.name': 'test'
  })
  t.notMatch(JSON.stringify(receiver.spans), id)
})

void t.test(
  'its parent is that of the header, else that of _meta, and nothing is added to what is forwarded',
  async t => {
    const { receiver, url } = await shared
    const header = { traceparent: `00-${TRACE}-${PARENT}-01`, tracestate: 'a=b' }
    const meta = { traceparent: `00-${OTHER_TRACE}-b7ad6b7169203331-01`, tracestate: 'c=d' }
    const call = (params: object) => ({ method: 'tools/call', params: { name: 'add', ...params } })
    await post(url, call({}), { ...header, 'x-request-id': 'header' })
    await post(url, call({ _meta: meta }), { 'x-request-id': 'meta' })
    seenHeaders.length = 0
    await post(url, call({ _meta: meta }), { ...header, 'x-request-id': 'both' })
    const sent = seenHeaders.flat().map(text => text.toLowerCase())
    t.equal(sent.filter(text => text === 'traceparent').length, 1)
    t.ok(sent.includes(header.traceparent))
    await post(url, call({ _meta: { traceparent: 'nonsense' } }), {
      traceparent: `00-${TRACE}-${'0'.repeat(16)}-01`,
      'x-request-id': 'none'
    })
    t.match(await receiver.span(requestOf('header')), {
      traceId: TRACE,
      parentSpanId: PARENT,
      traceState: 'a=b',
      links: []
    })
    t.match(await receiver.span(requestOf('meta')), {
      traceId: OTHER_TRACE,
      parentSpanId: 'b7ad6b7169203331',
      traceState: 'c=d'
    })
    t.match(await receiver.span(requestOf('both')), {
      traceId: TRACE,
      parentSpanId: PARENT,
      links: [{ traceId: OTHER_TRACE, spanId: 'b7ad6b7169203331' }]
    })
    const alone = await receiver.span(requestOf('none'))
    t.equal(alone.parentSpanId ?? '', '')
    t.notOk([TRACE, OTHER_TRACE].includes(alone.traceId))
  }
)

void t.test('errors of HTTP, of JSON-RPC, of tools and of connections are errors of the span', async t => {
  const { receiver, turnstile, url } = await start(t, ['--max-sessions-per-endpoint', '1'])
  const wanted: Record<string, [type: string, code?: string]> = {
    'is-error': ['tool_error'],
    'rpc-error': ['-32602', '-32602'],
    'bad-code': ['_OTHER'],
    'http-error': ['400']
  }
  for (const [name, [type, code]] of Object.entries(wanted)) {
    const session = { 'mcp-session-id': 'some-session' }
    await post(url, { method: 'tools/call', params: { name: 'add' } }, { ...replied(name), ...session })
    const { attributes, status } = await receiver.span(requestOf(name))
    t.equal(attributes['error.type'], type, name)
    t.equal(attributes['rpc.response.status_code'], code, name)
    t.equal(status.code, ERROR, name)
  }
  await post(url, { method: 'initialize' })
  await post(url, { method: 'initialize' }, { 'x-request-id': 'refused' })
  const refused = await receiver.span(span => span.attributes['turnstile.error'] === 'refused')
  t.match(refused, { name: 'POST', attributes: { 'http.response.status_code': 503, 'error.type': '503' } })
  await post(url, { method: 'ping' }, { ...replied('cut'), 'mcp-session-id': 'some-session' })
  const failed = await receiver.span(span => span.attributes['turnstile.error'] === 'failed')
  t.match(failed, { name: 'ping', status: { code: ERROR }, attributes: { 'error.type': '502' } })
  await (await fetch(`${turnstile.proxyUrl}/elsewhere/secret-word`)).text()
  const foreign = await receiver.span(named('GET'))
  t.equal(foreign.attributes['url.path'], '/{…}/{…}')
  t.equal(
    foreign.attributes['error.type'],
    undefined,
    'a status of a plain request that is no fault of the server'
  )
})

void t.test(
  'the name has a tool or prompt, and no URI; the revision is the one that was negotiated',
  async t => {
    const { receiver, url } = await shared
    await post(url, { method: 'prompts/get', params: { name: 'greet' } })
    t.equal((await receiver.span(named('prompts/get greet'))).attributes['gen_ai.prompt.name'], 'greet')
    await post(url, { method: 'resources/read', params: { uri: 'file:///a' } })
    t.equal((await receiver.span(named('resources/read'))).attributes['mcp.resource.uri'], 'file:///a')
    await post(
      url,
      { method: 'initialize', params: { protocolVersion: '2025-11-25' } },
      replied('negotiated')
    )
    const opened = await receiver.span(requestOf('negotiated'))
    t.equal(opened.attributes['mcp.protocol.version'], '2025-06-18')
    t.match(opened.attributes['mcp.session.id'], /^a-sessio-[0-9a-f]{16}$/)
    await post(
      url,
      { method: 'tools/call', params: { name: 'x'.repeat(400) } },
      { 'x-request-id': 'long-tool' }
    )
    const long = await receiver.span(requestOf('long-tool'))
    t.equal(long.name.length, 200)
    t.equal(String(long.attributes['gen_ai.tool.name']).length, 200)
  }
)

void t.test('messages of legacy sessions have spans, and a stream has one when it is over', async t => {
  const { receiver, turnstile } = await shared
  const leaving = new AbortController()
  const stream = await fetch(`${turnstile.proxyUrl}/e/sse`, { signal: leaving.signal })
  const { value } = (await stream.body!.getReader().read()) as { value: Uint8Array }
  const message = /data: (\S+)/.exec(Buffer.from(value).toString())![1]!
  const meta = { traceparent: `00-${TRACE}-${PARENT}-01` }
  await post(turnstile.proxyUrl + message, { method: 'ping', params: { _meta: meta } })
  const ping = await receiver.span(named('ping'))
  t.match(ping, { traceId: TRACE, parentSpanId: PARENT, attributes: { 'turnstile.endpoint': 'e' } })
  leaving.abort()
  const { attributes, status } = await receiver.span(named('GET'))
  t.equal(attributes['mcp.session.id'], ping.attributes['mcp.session.id'])
  t.match(attributes, { 'turnstile.error': 'left', 'url.path': '/e/sse' })
  t.not(status.code, ERROR)
})

void t.test('what the sampler leaves out is not exported', async t => {
  const { receiver, turnstile, url } = await start(t, [], {
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
    OTEL_TRACES_SAMPLER_ARG: '0'
  })
  await post(url, { method: 'ping' }, { 'x-request-id': 'root' })
  await post(url, { method: 'ping' }, { 'x-request-id': 'no', traceparent: `00-${TRACE}-${PARENT}-00` })
  await post(url, { method: 'ping' }, { 'x-request-id': 'yes', traceparent: `00-${TRACE}-${PARENT}-01` })
  t.equal(await turnstile.stop(), 0)
  t.strictSame(
    receiver.spans.map(span => span.attributes['turnstile.request.id']),
    ['yes']
  )
})

void t.test(
  'each worker exports its own, with masks that agree, and the end of the process exports what waits',
  async t => {
    const { receiver, turnstile, url } = await start(t, ['--workers', '2'], {
      OTEL_BSP_SCHEDULE_DELAY: '60000'
    })
    const id = (await post(url, { method: 'initialize' })).get('mcp-session-id')!
    const requests = 20
    for (let i = 0; i < requests; i++)
      await post(url, { method: 'ping' }, { 'mcp-session-id': id, connection: 'close' })
    await sleep(100)
    t.equal(receiver.spans.length, 0)
    t.equal(await turnstile.stop(), 0)
    t.equal(receiver.spans.length, requests + 1)
    t.equal(new Set(receiver.spans.map(({ attributes }) => attributes['mcp.session.id'])).size, 1)
    t.equal(new Set(receiver.spans.map(({ resource }) => resource['service.instance.id'])).size, 2)
  }
)
