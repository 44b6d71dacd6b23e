// Owns that a scrape of the real process tells what was done: each number equals what clients did, no label is without bound.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type FakeGateway, startFakeGateway } from '../support/fake-gateway.js'
import { Scrape } from '../support/scrape.js'
import { call } from '../support/session-less.js'
import { Turnstile } from '../support/turnstile.js'

async function start(
  t: Test,
  flags: string[] = [],
  gateway?: FakeGateway
): Promise<[Turnstile, FakeGateway]> {
  gateway ??= await startFakeGateway()
  t.teardown(() => gateway.stop())
  const turnstile = await Turnstile.start(gateway.url, t.testdir(), flags)
  t.teardown(() => turnstile.stop())
  return [turnstile, gateway]
}

const rpc = (method: string, params: object = {}): string =>
  JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })

async function request(
  { proxyUrl }: Turnstile,
  path: string,
  {
    method = 'POST',
    body = rpc('ping'),
    headers = {}
  }: { method?: string; body?: string; headers?: object } = {}
): Promise<Response> {
  const response = await fetch(proxyUrl + path, {
    method,
    headers: { ...headers },
    ...(method === 'POST' && { body })
  })
  await response.arrayBuffer()
  return response
}

async function open(turnstile: Turnstile, endpoint: string): Promise<string> {
  const response = await request(turnstile, `/stream/${endpoint}`, { body: rpc('initialize') })
  return response.headers.get('mcp-session-id')!
}

const of = (session: string, headers: object = {}) => ({ headers: { 'mcp-session-id': session, ...headers } })

/** Scrapes until it tells this. */
async function until(turnstile: Turnstile, isTold: (scrape: Scrape) => boolean): Promise<Scrape> {
  for (;;) {
    const scrape = await Scrape.of(turnstile.adminUrl)
    if (isTold(scrape)) return scrape
    await sleep(20)
  }
}

void t.test('sessions by endpoint, transport and reason, their duration, and what is open', async t => {
  const [turnstile, gateway] = await start(t, ['--session-idle-timeout', '4s', '--confirm-suspects=false'])
  const before = await Scrape.of(turnstile.adminUrl)
  t.equal(before.value('turnstile_sessions_opened_total'), undefined)
  const files: string[] = []
  for (let i = 0; i < 5; i++) files.push(await open(turnstile, 'files'))
  const mail = await open(turnstile, 'mail')
  for (const id of files.slice(0, 2))
    await request(turnstile, '/stream/files', { method: 'DELETE', ...of(id) })
  gateway.sessions.delete(`files ${files[2]!}`)
  t.equal((await request(turnstile, '/stream/files', of(files[2]!))).status, 404)
  const legacy = new AbortController()
  const streams = [legacy.signal, null].map(async signal => {
    const stream = (await fetch(`${turnstile.proxyUrl}/mail/sse`, { signal })).body!.getReader()
    await stream.read()
    return stream
  })
  await Promise.all(streams)
  legacy.abort()
  await call(`${turnstile.proxyUrl}/stream/files`, { userAgent: 'one' }, 'tools/list')
  const opened = await until(
    turnstile,
    scrape =>
      scrape.value('turnstile_sessions_closed_total')! >= 4 &&
      scrape.value('turnstile_sessions_opened_total')! >= 9
  )
  const count = (name: string, endpoint: string, transport: string) =>
    opened.value(name, { endpoint, transport })
  t.equal(count('turnstile_sessions_opened_total', 'files', 'streamable'), 5)
  t.equal(count('turnstile_sessions_opened_total', 'files', 'sessionless'), 1)
  t.equal(count('turnstile_sessions_opened_total', 'mail', 'streamable'), 1)
  t.equal(count('turnstile_sessions_opened_total', 'mail', 'sse'), 2)

  // The others idle; the one that comes back was never gone.
  const idle = await until(turnstile, scrape => scrape.value('turnstile_sessions_closed_total') === 8)
  await request(turnstile, '/stream/mail', of(mail))
  const openIn = (scrape: Scrape): number =>
    scrape.value('turnstile_sessions_opened_total')! - scrape.value('turnstile_sessions_closed_total')!
  const end = await until(
    turnstile,
    scrape =>
      scrape.value('turnstile_sessions_opened_total') === 10 &&
      scrape.value('turnstile_sessions_active') === openIn(scrape) &&
      scrape.value('turnstile_sessions_active', { endpoint: 'files' }) === 0
  )
  const closed = idle
    .samples('turnstile_sessions_closed_total')
    .map(
      ({ labels: { endpoint, transport, reason }, value }) => `${endpoint!} ${transport!} ${reason!} ${value}`
    )
  t.same(closed.sort(), [
    'files sessionless idle 1',
    'files streamable delete 2',
    'files streamable gone 1',
    'files streamable idle 2',
    'mail sse stream_end 1',
    'mail streamable idle 1'
  ])
  t.equal(idle.value('mcp_server_session_duration_seconds_count', { network_transport: 'tcp' }), 8)
  t.equal(
    idle.value('mcp_server_session_duration_seconds_count', {
      transport: 'sessionless',
      mcp_protocol_version: '2026-07-28'
    }),
    1
  )
  const idled = idle.value('mcp_server_session_duration_seconds_sum')!
  t.ok(idled >= 8 && idled < 60, `${idled} s: four idled`)
  t.equal(end.value('turnstile_sessions_drift'), 0)
})

void t.test('requests by status, operations by method and tool, bytes, streams, connections', async t => {
  const [turnstile, gateway] = await start(t)
  const id = await open(turnstile, 'e')
  const call = {
    ...of(id, { 'mcp-protocol-version': '2025-11-25' }),
    body: rpc('tools/call', { name: 'echo' })
  }
  for (let i = 0; i < 3; i++) t.equal((await request(turnstile, '/stream/e', call)).status, 202)
  await request(turnstile, '/stream/e', { ...of('unknown'), body: rpc('tools/call', { name: 'guess' }) })
  await request(turnstile, '/stream/e', { ...of(id), body: rpc('made/up') })
  await request(turnstile, '/elsewhere', { method: 'GET' })
  const stream = new AbortController()
  await fetch(`${turnstile.proxyUrl}/stream/e`, {
    headers: { accept: 'text/event-stream', 'mcp-session-id': id },
    signal: stream.signal
  })
  const scrape = await until(turnstile, scrape => scrape.value('turnstile_streams') === 1)
  const statuses = scrape
    .samples('turnstile_requests_total')
    .map(({ labels: { method, code }, value }) => `${method!} ${code!} ${value}`)
  t.same(statuses.sort(), ['GET 200 1', 'GET 404 1', 'POST 200 1', 'POST 202 4', 'POST 404 1'])
  t.equal(scrape.value('turnstile_upstream_headers_seconds_count', { method: 'POST', code: '2xx' }), 5)
  const operations = (labels: Record<string, string>) =>
    scrape.value('mcp_server_operation_duration_seconds_count', labels)
  t.equal(
    operations({
      mcp_method_name: 'tools/call',
      gen_ai_tool_name: 'echo',
      mcp_protocol_version: '2025-11-25'
    }),
    3
  )
  t.equal(operations({ mcp_method_name: 'tools/call', gen_ai_tool_name: 'other', error_type: '404' }), 1)
  t.equal(operations({ mcp_method_name: 'initialize', network_transport: 'tcp' }), 1)
  t.equal(operations({ mcp_method_name: 'other' }), 1)
  t.equal(operations({}), 6, 'a stream of the server is none')
  t.equal(scrape.value('turnstile_operations_accepted_total', { mcp_method_name: 'tools/call' }), 3)
  t.equal(scrape.value('turnstile_tool_calls_accepted_total', { gen_ai_tool_name: 'echo' }), 3)
  t.equal(scrape.value('turnstile_tool_calls_accepted_total'), 3)
  t.ok(scrape.value('turnstile_received_bytes_total')! > 8 * 100)
  t.ok(scrape.value('turnstile_sent_bytes_total')! > 8 * 50)
  t.equal(scrape.value('turnstile_upstream_connections', { state: 'active' }), 1)
  t.ok(scrape.value('turnstile_upstream_connections_opened_total')! >= 1)
  t.ok(scrape.value('turnstile_client_connections')! >= 1)
  t.equal(scrape.value('turnstile_limit', { of: 'streams' }), 15_000)
  t.equal(scrape.value('turnstile_requests'), 0)
  t.equal(scrape.value('turnstile_events_lost_total'), 0)
  t.ok(scrape.value('turnstile_events_shipped_total')! >= 1)
  t.ok(scrape.value('turnstile_ship_lag_seconds_count')! >= 1)
  t.equal(scrape.value('turnstile_store_up'), 1)
  t.equal(scrape.value('turnstile_upstream_up'), 1)
  t.equal(scrape.value('turnstile_build_info', { node_version: process.version }), 1)
  t.ok(scrape.value('nodejs_eventloop_lag_p99_seconds')! > 0)
  t.equal(
    [...scrape.families.values()].flatMap(f => f.samples).filter(s => Object.values(s.labels).includes(id))
      .length,
    0
  )

  stream.abort()
  await gateway.stop()
  for (let i = 0; i < 2; i++) t.equal((await request(turnstile, '/stream/e')).status, 502)
  const after = await until(turnstile, scrape => scrape.value('turnstile_upstream_up') === 0)
  t.equal(after.value('turnstile_upstream_errors_total', { reason: 'unreachable' }), 2)
  t.equal(after.value('turnstile_requests_total', { code: '502' }), 2)
  t.equal(after.value('turnstile_streams'), 0)
})

void t.test('refusals by reason, clients that leave, answers that break off', async t => {
  const silent = await startFakeGateway((request, response) => {
    if (request.url === '/broken') response.write('half', () => response.destroy())
    return request.url === '/silent' || request.url === '/broken'
  })
  const flags = ['--max-requests', '1', '--max-streams', '1', '--max-sessions-per-endpoint', '1']
  const [turnstile] = await start(
    t,
    [...flags, '--allowed-host', '127.0.0.1', '--allowed-origin', 'null'],
    silent
  )
  const refused = async (status: number, path: string, init: RequestInit = {}) => {
    const response = await fetch(turnstile.proxyUrl + path, init)
    t.equal(response.status, status)
    await response.arrayBuffer()
  }
  const leaving = new AbortController()
  const waiting = fetch(`${turnstile.proxyUrl}/silent`, { signal: leaving.signal }).catch(() => undefined)
  await until(turnstile, scrape => scrape.value('turnstile_requests') === 1)
  for (let i = 0; i < 3; i++) await refused(503, '/')
  leaving.abort()
  await waiting
  await until(turnstile, scrape => scrape.value('turnstile_requests') === 0)
  const streaming = new AbortController()
  const accept = 'text/event-stream'
  const stream = { headers: { accept }, signal: streaming.signal }
  await (await fetch(`${turnstile.proxyUrl}/e/sse`, stream)).body!.getReader().read()
  await refused(503, '/f/sse', { headers: { accept } })
  await refused(503, '/stream/e', { method: 'POST', body: rpc('initialize') })
  await refused(403, '/', { headers: { origin: 'http://evil.example' } })
  await fetch(`${turnstile.adminUrl}/api/mcp/endpoints/d/drain`, { method: 'PUT' })
  await refused(503, '/stream/d', { method: 'POST', body: rpc('initialize') })
  await refused(400, '/', { method: 'TRACK' }).catch(() =>
    refused(400, `/${'x'.repeat(10)}`, { method: 'PROPFIN' })
  )
  await t.rejects(fetch(`${turnstile.proxyUrl}/broken`).then(response => response.text()))
  streaming.abort()
  const scrape = await until(turnstile, scrape => scrape.value('turnstile_streams') === 0)
  const reasons = scrape
    .samples('turnstile_refusals_total')
    .filter(({ value }) => value > 0)
    .map(({ labels, value }) => `${labels.reason!} ${value}`)
  t.same(reasons.sort(), ['draining 1', 'malformed 1', 'origin 1', 'requests 3', 'sessions 1', 'streams 1'])
  t.equal(scrape.value('turnstile_requests_abandoned_total'), 1)
  t.equal(scrape.value('turnstile_upstream_errors_total', { reason: 'broken_off' }), 1)
})

void t.test('a thousand endpoints and tools make a bounded number of series', async t => {
  const [turnstile] = await start(t)
  const id = await open(turnstile, 'busy')
  await open(turnstile, 'busy')
  const work = Array.from({ length: 1_000 }, (_, i) => i)
  const worker = async (): Promise<void> => {
    for (let i = work.pop(); i !== undefined; i = work.pop()) {
      await open(turnstile, `endpoint-${i}`)
      await request(turnstile, '/stream/busy', {
        ...of(id, { 'mcp-protocol-version': `2025-${i}` }),
        body: rpc('tools/call', { name: `tool ${i}` })
      })
      await request(turnstile, '/stream/busy', { ...of(id), body: rpc(`method/${i}`) })
    }
  }
  await Promise.all(Array.from({ length: 16 }, worker))
  await turnstile.shipped()
  const scrape = await until(turnstile, scrape => scrape.value('turnstile_sessions_active') === 1_002)
  for (const name of ['turnstile_sessions_active', 'turnstile_sessions_opened_total']) {
    const endpoints = new Set(scrape.samples(name).map(({ labels }) => labels.endpoint))
    t.equal(scrape.value(name), 1_002, 'nothing is left out')
    t.equal(endpoints.size, 101)
    t.ok(endpoints.has('other'))
    t.ok(endpoints.has('busy'))
  }
  t.equal(scrape.value('turnstile_sessions_active', { endpoint: 'busy' }), 2)
  t.equal(scrape.samples('turnstile_tool_calls_accepted_total').length, 101)
  t.equal(scrape.value('turnstile_tool_calls_accepted_total'), 1_000)
  t.equal(scrape.value('mcp_server_operation_duration_seconds_count'), 3_002)
  const series = [...scrape.families.values()].reduce((sum, { samples }) => sum + samples.length, 0)
  t.ok(series < 3_000, `${series} series`)
})
