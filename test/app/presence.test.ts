// Owns what keeps a session from idling although nothing is sent: a call under way, and an open stream; seen from outside.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type FakeGateway, startFakeGateway } from '../support/fake-gateway.js'
import { type ConnectionJson, Turnstile } from '../support/turnstile.js'

const IDLE_MS = 2_000
/** Longer than it takes until an idle session is closed. */
const LONG_MS = 3 * IDLE_MS

/** When the head of the response to a held request comes: at once, or with its end. */
type Head = 'early' | 'late'

interface Rig {
  gateway: FakeGateway
  turnstile: Turnstile
  /** Responses to the calls that are held. */
  held: ServerResponse[]
  deletes: IncomingMessage[]
}

async function start(t: Test, ...flags: string[]): Promise<Rig> {
  const held: ServerResponse[] = []
  const deletes: IncomingMessage[] = []
  const gateway = await startFakeGateway((request, response) => {
    if (request.method === 'DELETE') deletes.push(request)
    const head = request.headers['x-hold']
    if (head === undefined) return false
    if (head === 'early') response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
    held.push(response)
    return true
  })
  t.teardown(() => gateway.stop())
  const turnstile = await startOn(t, gateway, t.testdir(), ...flags)
  return { gateway, turnstile, held, deletes }
}

async function startOn(t: Test, gateway: FakeGateway, directory: string, ...flags: string[]) {
  const turnstile = await Turnstile.start(gateway.url, directory, [
    '--session-idle-timeout',
    `${IDLE_MS}ms`,
    ...flags
  ])
  t.teardown(() => turnstile.stop())
  return turnstile
}

async function post(turnstile: Turnstile, headers: Record<string, string> = {}): Promise<Response> {
  return await fetch(`${turnstile.proxyUrl}/stream/e`, { method: 'POST', headers, body: '{}' })
}

async function open(turnstile: Turnstile): Promise<string> {
  const response = await post(turnstile, { connection: 'close' })
  await response.arrayBuffer()
  return response.headers.get('mcp-session-id')!
}

/** Sends a call that the gateway holds; resolves when it is over. */
async function hold(turnstile: Turnstile, head: Head, headers: Record<string, string>): Promise<void> {
  await (await post(turnstile, { connection: 'close', 'x-hold': head, ...headers })).arrayBuffer()
}

/** Looks at the count again and again for `LONG_MS`: it is always the same. */
async function staysAt(t: Test, turnstile: Turnstile, expected: number): Promise<void> {
  const seen = new Set<number>()
  for (const until = Date.now() + LONG_MS; Date.now() < until; await sleep(100))
    seen.add(await turnstile.count('e'))
  t.same([...seen], [expected])
}

async function closed(turnstile: Turnstile): Promise<ConnectionJson> {
  while ((await turnstile.count('e')) > 0) await sleep(20)
  const [row] = await turnstile.connections()
  return row!
}

for (const head of ['early', 'late'] as const) {
  void t.test(`a session whose call runs does not idle (head ${head})`, async t => {
    const { turnstile, held, deletes } = await start(t, '--end-idle-sessions', '--stream-is-use=false')
    const call = hold(turnstile, head, { 'mcp-session-id': await open(turnstile) })
    await staysAt(t, turnstile, 1)
    t.same(deletes, [])
    const endedAt = Date.now()
    held[0]!.end()
    await call
    const { reason, disconnect_at, request_count } = await closed(turnstile)
    t.match({ reason, request_count }, { reason: 'idle', request_count: 2 })
    const idledMs = new Date(disconnect_at).getTime() - endedAt
    t.ok(Math.abs(idledMs - IDLE_MS) < 200, `idle ${idledMs} ms after the end of the call`)
    while (deletes.length === 0) await sleep(20)
  })
}

/** A session with its stream open; `leave` ends that. */
async function openStream({ turnstile }: Rig): Promise<{ leave: () => Promise<void> }> {
  const response = await fetch(`${turnstile.proxyUrl}/stream/e`, {
    headers: { 'mcp-session-id': await open(turnstile), accept: 'text/event-stream' }
  })
  return { leave: async () => await response.body!.cancel() }
}

void t.test('a session whose stream is open does not idle; its end begins the idle time', async t => {
  const rig = await start(t)
  const { leave } = await openStream(rig)
  await staysAt(t, rig.turnstile, 1)
  const leftAt = Date.now()
  await leave()
  const { reason, disconnect_at } = await closed(rig.turnstile)
  t.equal(reason, 'idle')
  const idledMs = new Date(disconnect_at).getTime() - leftAt
  t.ok(Math.abs(idledMs - IDLE_MS) < 200, `idle ${idledMs} ms after the end of the stream`)
})

void t.test('with --stream-is-use=false it idles', async t => {
  const rig = await start(t, '--stream-is-use=false')
  const { leave } = await openStream(rig)
  t.match(await closed(rig.turnstile), { reason: 'idle', request_count: 2 })
  await leave()
})

void t.test('a call that runs through another worker or proxy keeps its session too', async t => {
  const { turnstile, gateway, held } = await start(t, '--workers', '2')
  const store = `sqlite:${t.testdirName}/turnstile.db`
  const other = await startOn(t, gateway, `${t.testdirName}/other`, '--store', store)
  const calls: Promise<void>[] = []
  for (let i = 0; i < 6; i++) {
    const headers = { 'mcp-session-id': await open(turnstile) }
    calls.push(hold(i < 4 ? turnstile : other, 'late', headers))
  }
  calls.push(hold(other, 'late', { 'mcp-session-id': 'nobody' }))
  await staysAt(t, turnstile, 6)
  for (const response of held) response.end()
  await Promise.all(calls)
  while ((await turnstile.count('e')) > 0) await sleep(20)
})

void t.test('a long call keeps the visit of a session-less client', async t => {
  const { turnstile, held } = await start(t)
  const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call' }
  await (await post(turnstile, headers)).arrayBuffer()
  for (const head of ['late', 'early'] as const) {
    const call = hold(turnstile, head, headers)
    await staysAt(t, turnstile, 1)
    held.pop()!.end()
    await call
  }
  await closed(turnstile)
  t.match(await turnstile.connections(), [{ transport_type: 3, request_count: 3, reason: 'idle' }])
})
