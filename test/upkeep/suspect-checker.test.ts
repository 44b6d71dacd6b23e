// Owns what makes a session suspect, how it is asked, and what of the answers counts: seen from outside the process.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { SessionRow } from '../../src/ledger/store-port.js'
import { Suspects } from '../../src/sessions/suspects.js'
import { SuspectChecker } from '../../src/upkeep/suspect-checker.js'
import { session } from '../support/admin-under-test.js'
import { type FakeGateway, startFakeGateway } from '../support/fake-gateway.js'
import { type ConnectionJson, Turnstile } from '../support/turnstile.js'

/** Longer than a suspect waits for its ping. */
const ASKED_MS = 1_500
/** Longer than a response may be one that a closed silent connection let through. */
const PROVED_MS = 200

interface Rig {
  gateway: FakeGateway
  turnstile: Turnstile
  /** Requests that the proxy sent of its own accord. */
  own: IncomingMessage[]
  /** Answers those, while it is set. */
  answer: ((request: IncomingMessage, response: ServerResponse) => void) | undefined
}

async function start(t: Test, ...flags: string[]): Promise<Rig> {
  const own: IncomingMessage[] = []
  const gateway = await startFakeGateway((request, response) => {
    if (request.headers['user-agent'] !== 'mcp-turnstile') return false
    own.push(request)
    rig.answer?.(request, response)
    return rig.answer !== undefined
  })
  t.teardown(() => gateway.stop())
  const turnstile = await Turnstile.start(gateway.url, t.testdir(), flags)
  t.teardown(() => turnstile.stop())
  const rig: Rig = { gateway, turnstile, own, answer: undefined }
  return rig
}

async function open(turnstile: Turnstile, headers: Record<string, string> = {}): Promise<string> {
  const answer = await fetch(`${turnstile.proxyUrl}/stream/e?key=k`, { method: 'POST', headers, body: '{}' })
  await answer.arrayBuffer()
  return answer.headers.get('mcp-session-id')!
}

/** A session with its standalone stream open; the client never comes again. */
async function openWithStream(t: Test, { turnstile, gateway }: Rig, headers: Record<string, string> = {}) {
  const id = await open(turnstile, headers)
  const stream = await fetch(`${turnstile.proxyUrl}/stream/e?key=k`, {
    headers: { ...headers, 'mcp-session-id': id, accept: 'text/event-stream' }
  })
  const leave = (): void => void stream.body?.cancel().catch(() => undefined)
  t.teardown(leave)
  return { id, response: gateway.streams.get(`e ${id}`)!, leave }
}

const jsonError = (code: number): string =>
  JSON.stringify({ jsonrpc: '2.0', id: 1, error: { code, message: 'Session not found' } })

async function row({ turnstile }: Rig, id: string): Promise<ConnectionJson & { last_seen_at: string }> {
  await turnstile.shipped()
  const rows = (await turnstile.connections()) as (ConnectionJson & { last_seen_at: string })[]
  return rows.find(({ session_id }) => session_id === id)!
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(10)
}

for (const how of ['ends', 'resets'] as const) {
  void t.test(`the gateway forgets a session and ${how} its stream`, async t => {
    const rig = await start(t)
    const { id, response } = await openWithStream(t, rig)
    rig.gateway.sessions.clear()
    const endedAt = Date.now()
    if (how === 'ends') response.end()
    else response.socket?.resetAndDestroy()
    await until(async () => (await rig.turnstile.count('e')) === 0)
    t.ok(Date.now() - endedAt < 2_000, 'the count is right within 2 s')
    t.match(await row(rig, id), { reason: 'gone', request_count: 2 })
    t.equal(rig.own.length, 1)
  })
}

void t.test('the ping speaks as the client does, and its secrets go nowhere else', async t => {
  const rig = await start(t, '--log-level', 'trace')
  const secret = 'Bearer very-secret'
  const { id, response } = await openWithStream(t, rig, {
    authorization: secret,
    'mcp-protocol-version': '2025-06-18'
  })
  response.end()
  await until(() => rig.own.length === 1)
  const [ping] = rig.own
  t.match(ping, {
    method: 'POST',
    url: '/stream/e?key=k',
    headers: {
      host: new URL(rig.turnstile.proxyUrl).host,
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      'mcp-session-id': id,
      'mcp-protocol-version': '2025-06-18',
      authorization: secret
    }
  })
  const log = JSON.stringify(rig.turnstile.log)
  t.notMatch(log, /very-secret/)
  t.notOk(log.includes(id))
})

void t.test('a session that lives is asked once and touched, and that is no request', async t => {
  const rig = await start(t)
  const { id, response } = await openWithStream(t, rig)
  response.end()
  const endedAt = new Date().toISOString()
  await until(async () => (await row(rig, id)).last_seen_at > endedAt)
  await sleep(ASKED_MS)
  t.equal(rig.own.length, 1)
  t.match(await row(rig, id), { reason: null, request_count: 2 })
})

void t.test('what the answers to a ping prove', async t => {
  const rig = await start(t)
  const notFound = 'Unauthorized: Session not found'
  const cases = [
    [401, {}, notFound, 'gone'],
    [401, { 'www-authenticate': 'Bearer' }, notFound, null],
    [401, {}, 'Unauthorized', null],
    [403, {}, '', null],
    [400, {}, notFound, 'gone'],
    [400, {}, '', null],
    [404, {}, '404 page not found', 'gone'],
    [404, {}, jsonError(-32601), null],
    [200, { 'content-type': 'application/json' }, jsonError(-32600), 'gone'],
    [200, { 'content-type': 'text/event-stream' }, `data: ${jsonError(-32001)}\n\n`, 'gone'],
    [503, {}, '', null]
  ] as const
  const ids = new Map<unknown, (typeof cases)[number]>()
  rig.answer = (request, response) => {
    const [status, headers, body] = ids.get(request.headers['mcp-session-id'])!
    response.writeHead(status, headers).end(body)
  }
  for (const each of cases) {
    const { id, response } = await openWithStream(t, rig)
    ids.set(id, each)
    response.end()
  }
  const endedAt = new Date().toISOString()
  await until(() => rig.own.length === cases.length)
  await sleep(ASKED_MS)
  for (const [id, [status, , body, reason]] of ids) {
    const { last_seen_at, ...rest } = await row(rig, id as string)
    t.match(rest, { reason }, `${status} ${body}`)
    t.ok(last_seen_at <= endedAt, 'no use')
  }
})

void t.test('nobody is asked when the client left, deleted, or came again', async t => {
  const rig = await start(t)
  const left = await openWithStream(t, rig)
  left.leave()
  await until(() => left.response.destroyed)
  const headers = (id: string) => ({ 'mcp-session-id': id })
  const url = `${rig.turnstile.proxyUrl}/stream/e`
  const deleted = await openWithStream(t, rig)
  await fetch(url, { method: 'DELETE', headers: headers(deleted.id) })
  deleted.response.end()
  const back = await openWithStream(t, rig)
  back.response.end()
  await fetch(url, { method: 'POST', headers: headers(back.id), body: '{}' })
  await sleep(ASKED_MS)
  t.same(rig.own, [])
})

void t.test('nobody is asked with --confirm-suspects=false', async t => {
  const rig = await start(t, '--confirm-suspects=false')
  const { response } = await openWithStream(t, rig)
  rig.gateway.sessions.clear()
  response.end()
  rig.gateway.hangUp()
  await sleep(ASKED_MS)
  t.same(rig.own, [])
  t.equal(await rig.turnstile.count('e'), 1)
})

void t.test('a restart in no time, seen by a connection that ended', async t => {
  const rig = await start(t)
  for (let i = 0; i < 20; i++) await open(rig.turnstile)
  await rig.turnstile.shipped()
  rig.gateway.sessions.clear()
  rig.gateway.hangUp()
  const newcomer = await open(rig.turnstile)
  await until(async () => (await rig.turnstile.count('e')) === 1)
  t.match(await row(rig, newcomer), { reason: null, request_count: 1 })
})

void t.test('a gateway that closes silent connections: one session is asked, once', async t => {
  const startedMs = performance.now()
  const rig = await start(t)
  // Beside its silent connection requests are served: so the proxy learns that it may leave that one open.
  await until(() => rig.gateway.connections() === 1)
  for (let i = 0; i < 5; i++) await open(rig.turnstile)
  await rig.turnstile.shipped()
  await sleep(PROVED_MS)
  rig.gateway.hangUp()
  await until(() => rig.own.length === 1)
  // The ping follows the end of the first connection and the beginning of the second: that one lives longer from here on.
  await sleep(performance.now() - startedMs)
  rig.gateway.hangUp()
  await sleep(ASKED_MS)
  t.equal(rig.own.length, 1, 'then it is known')
  t.equal(await rig.turnstile.count('e'), 5)
})

void t.test('sessions from before both restarted', async t => {
  const rig = await start(t)
  for (let i = 0; i < 5; i++) await open(rig.turnstile)
  await rig.turnstile.stop()
  const address = new URL(rig.gateway.url)
  await rig.gateway.stop()
  const turnstile = await Turnstile.start(address.href, t.testdirName)
  t.teardown(() => turnstile.stop())
  t.equal(await turnstile.count('e'), 5)
  const again = await startFakeGateway(undefined, Number(address.port))
  t.teardown(() => again.stop())
  await until(async () => (await turnstile.count('e')) === 0)
  t.ok((await turnstile.connections()).every(({ reason }) => reason === 'gone'))
})

void t.test('of two proxies on one store, each asks for those that it saw last', async t => {
  const rig = await start(t)
  const elsewhere = await startFakeGateway()
  t.teardown(() => elsewhere.stop())
  const store = `sqlite:${t.testdirName}/turnstile.db`
  const other = await Turnstile.start(elsewhere.url, `${t.testdirName}/other`, ['--store', store])
  t.teardown(() => other.stop())
  for (let i = 0; i < 3; i++) await open(rig.turnstile)
  await open(other)
  await Promise.all([rig.turnstile.shipped(), other.shipped()])
  rig.gateway.sessions.clear()
  rig.gateway.hangUp()
  await until(async () => (await rig.turnstile.count('e')) === 1)
  await sleep(ASKED_MS)
  t.equal(await rig.turnstile.count('e'), 1, 'the session behind the other proxy lives')
  t.equal(rig.own.length, 3, 'each once')
})

void t.test('a call that waited while the gateway was away does not spare its session', async t => {
  const seen = { seenBy: 'this', connectAt: 10 }
  const rows: SessionRow[] = [
    session({ ...seen, sessionId: 'waited', lastSeenAt: 150, provedAt: 50 }),
    session({
      ...seen,
      sessionId: 'accepted since',
      lastSeenAt: 150,
      provedAt: null
    })
  ]
  const pinged: string[] = []
  const checker = new SuspectChecker({
    suspects: new Suspects(10),
    ping: ({ endpointId, sessionId }) => {
      pinged.push(sessionId)
      return Promise.resolve({
        kind: 'ping-response',
        endpointId,
        sessionId,
        status: 404,
        sessionNotFound: true,
        at: 200
      })
    },
    observe: () => undefined,
    isAway: () => false,
    store: { connections: () => Promise.resolve(rows) },
    instanceId: 'this',
    shipped: () => Promise.resolve()
  })
  t.teardown(() => checker.close())
  await checker.upstreamMayHaveRestarted(100)
  t.same(pinged, ['waited'])
})
