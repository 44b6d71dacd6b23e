// Owns the outcome of sessions end to end: the figures of rows equal what a counting relay and a list of requests say.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { ToolUsageInfo } from '../../src/admin/schemas/monitoring-responses.js'
import { type CountingRelay, startCountingRelay } from '../support/counting-relay.js'
import { startFakeGateway } from '../support/fake-gateway.js'
import { initializeOf, openLegacyStream } from '../support/legacy-server.js'
import { call } from '../support/session-less.js'
import { type ConnectionJson, Turnstile } from '../support/turnstile.js'

const failed = '{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":true}}'
const error = '{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no"}}'
const JSON_TYPE = { 'content-type': 'application/json' }

/** What the gateway answers to a request with this `x-reply`. */
const replies: Record<string, (response: ServerResponse) => unknown> = {
  failed: response => response.writeHead(200, JSON_TYPE).end(failed),
  error: response => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('data: \nid: 0\nretry: 3000\n\n')
    response.end(`data: ${error}\n\n`)
  },
  gzip: response => response.writeHead(200, { ...JSON_TYPE, 'content-encoding': 'gzip' }).end('zz'),
  500: response => response.writeHead(500).end('oh')
}

function instead({ headers }: IncomingMessage, response: ServerResponse): boolean {
  const reply = replies[String(headers['x-reply'])]
  reply?.(response)
  return reply !== undefined
}

const gateway = await startFakeGateway(instead)
t.teardown(() => gateway.stop())

async function start(
  t: Test,
  directory = t.testdir()
): Promise<{ turnstile: Turnstile; relay: CountingRelay }> {
  const turnstile = await Turnstile.start(gateway.url, directory)
  t.teardown(() => turnstile.stop())
  return { turnstile, relay: await startCountingRelay(t, Number(new URL(turnstile.proxyUrl).port)) }
}

/** The only row, once it has the bytes that the relays counted. */
async function rowOf(turnstile: Turnstile, ...relays: readonly CountingRelay[]): Promise<ConnectionJson> {
  for (;;) {
    const rows = await turnstile.connections()
    const sum = (which: 'bytesIn' | 'bytesOut'): number =>
      relays.reduce((all, relay) => all + relay[which], 0)
    const [row] = rows
    if (row?.bytes_in === sum('bytesIn') && row.bytes_out === sum('bytesOut')) return row
    await sleep(20)
  }
}

/** A client of one session; each request names the reply that it gets. */
async function openSession(relay: CountingRelay) {
  const url = `${relay.url}/stream/e`
  const post = async (method: string, headers: Record<string, string> = {}): Promise<Response> => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { name: 'tool' } })
    const response = await fetch(url, {
      method: 'POST',
      headers: { ...JSON_TYPE, accept: 'application/json, text/event-stream', ...headers },
      body
    })
    await response.arrayBuffer().catch(() => undefined)
    return response
  }
  const opened = await post('initialize')
  const session = { 'mcp-session-id': opened.headers.get('mcp-session-id')! }
  return {
    session,
    url,
    ask: (method: string, reply?: string) =>
      post(method, { ...session, ...(reply !== undefined && { 'x-reply': reply }) }),
    end: () => fetch(url, { method: 'DELETE', headers: session })
  }
}

void t.test('a streamable session: what a stranger counts is what its row says, open and ended', async t => {
  const { turnstile, relay } = await start(t)
  const { ask, end, session, url } = await openSession(relay)
  await ask('notifications/initialized')
  for (const reply of ['failed', 'error', 'gzip', '500']) await ask('tools/call', reply)
  await ask('tools/call')
  await ask('tools/list', 'error')
  const figures = { call_count: 5, error_count: 4, unread_count: 1, request_count: 7 }
  t.match(await rowOf(turnstile, relay), { ...figures, reason: null })
  const leaving = new AbortController()
  const headers = { ...session, accept: 'text/event-stream' }
  await fetch(url, { headers, signal: leaving.signal })
  await end()
  leaving.abort()
  t.match(await rowOf(turnstile, relay), { ...figures, request_count: 8, reason: 'delete' })
})

void t.test('what one process counts is added to what the one before it counted', async t => {
  const directory = t.testdir()
  const one = await start(t, directory)
  const { session, ask } = await openSession(one.relay)
  await ask('tools/call', 'failed')
  await rowOf(one.turnstile, one.relay)
  await one.turnstile.kill()
  const two = await start(t, directory)
  const again = (headers: Record<string, string>): Promise<Response> =>
    fetch(`${two.relay.url}/stream/e`, { method: 'POST', headers: { ...session, ...headers }, body: '{}' })
  await (await again({ 'x-reply': '500' })).arrayBuffer()
  await (await again({ 'x-reply': 'failed' })).arrayBuffer()
  t.match(await rowOf(two.turnstile, one.relay, two.relay), { call_count: 1, error_count: 3 })
})

void t.test(
  'a legacy session: its stream carries the responses, and its row has the bytes of both ways',
  async t => {
    const { turnstile, relay } = await start(t)
    const stream = await openLegacyStream(`${relay.url}/e/sse`)
    t.equal(await stream.post(undefined, initializeOf('agent')), 202)
    await stream.post(undefined, { jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'tool' } })
    await stream.close()
    t.match(await rowOf(turnstile, relay), { call_count: 1, error_count: 0, reason: 'stream_end' })
  }
)

void t.test('a session-less client', async t => {
  const { turnstile, relay } = await start(t)
  const client = { userAgent: 'agent/1' }
  const ask = async (params: Record<string, unknown>, method = 'tools/call'): Promise<ArrayBuffer> =>
    await (await call(`${relay.url}/stream/e`, client, method, params)).arrayBuffer()
  await ask({ name: 'tool' })
  await ask({ name: 'tool', requestState: 'abc' })
  await ask({ name: 'tool', inputResponses: {} })
  await ask({}, 'no/such')
  await ask({ name: 'no such tool' }, 'no/such')
  const figures = { call_count: 1, error_count: 2, unread_count: 0, request_count: 3 }
  t.match(await rowOf(turnstile, relay), figures)
  const asked = Date.now()
  for (;;) {
    const usage = await turnstile.query<ToolUsageInfo[]>('/api/mcp/tools/usage?by=total')
    t.ok(Date.now() - asked < 30_000, 'it comes')
    if (usage[0]?.tool !== 'tool') {
      await sleep(20)
      continue
    }
    t.match(usage, [{ time: null, endpointId: 'e', tool: 'tool', calls: 1, errors: 0 }])
    t.ok(usage[0].durationSum >= usage[0].durationMax)
    return
  }
})
