// Owns the bound on endpoints (`--max-endpoints`) and their deletion from outside: over proxies of one store, over restarts.
import t, { type Test } from 'tap'
import { type FakeGateway, startFakeGateway } from '../support/fake-gateway.js'
import { checkInvariant } from '../support/invariant.js'
import { freshDatabase, startDatabase } from '../support/mariadb.js'
import { Scrape } from '../support/scrape.js'
import { call } from '../support/session-less.js'
import { Turnstile } from '../support/turnstile.js'

const MAX = 10

async function startGateway(t: Test): Promise<FakeGateway> {
  const gateway = await startFakeGateway()
  t.teardown(() => gateway.stop())
  return gateway
}

async function start(t: Test, gateway: FakeGateway, flags: string[], directory: string): Promise<Turnstile> {
  const turnstile = await Turnstile.start(gateway.url, directory, ['--max-endpoints', String(MAX), ...flags])
  t.teardown(() => turnstile.stop())
  return turnstile
}

/** Opens a session; its id. */
async function open(turnstile: Turnstile, endpointId: string): Promise<string> {
  const response = await fetch(`${turnstile.proxyUrl}/stream/${endpointId}`, { method: 'POST', body: '{}' })
  await response.arrayBuffer()
  return response.headers.get('mcp-session-id')!
}

async function end(turnstile: Turnstile, endpointId: string, sessionId: string): Promise<void> {
  const headers = { 'mcp-session-id': sessionId }
  const url = `${turnstile.proxyUrl}/stream/${endpointId}`
  await (await fetch(url, { method: 'DELETE', headers })).arrayBuffer()
}

async function act(turnstile: Turnstile, path: string): Promise<{ status: number; body: object }> {
  const response = await fetch(`${turnstile.adminUrl}/api/mcp/${path}`, { method: 'DELETE' })
  return { status: response.status, body: (await response.json()) as object }
}

const endpointsOf = async (turnstile: Turnstile): Promise<string[]> =>
  (await turnstile.query<{ endpointId: string }[]>('/api/mcp/endpoints')).map(({ endpointId }) => endpointId)

void t.test('made-up endpoints find no room, all their sessions are counted, and said once', async t => {
  const gateway = await startGateway(t)
  const directory = t.testdir()
  const before = await start(t, gateway, [], directory)
  const early = await open(before, 'early')
  const client = { userAgent: 'agent', name: 'tester' }
  for (let i = 0; i < 5 * MAX; i++) {
    await open(before, `made-up-${i}`)
    await (await call(`${before.proxyUrl}/stream/visited-${i}`, client, 'tools/list')).arrayBuffer()
  }
  const late = await open(before, 'late')
  await before.shipped()
  const endpoints = await endpointsOf(before)
  t.equal(endpoints.length, MAX + 1)
  t.ok(endpoints.includes('other') && endpoints.includes('early') && !endpoints.includes('late'))
  t.equal(await before.count(), 10 * MAX + 2, 'none is left out')
  await checkInvariant(t, before)
  const others = await before.count('other')
  const scrape = await Scrape.of(before.adminUrl)
  t.equal(scrape.value('turnstile_others_sessions_total'), others)
  t.equal(scrape.value('turnstile_endpoints'), MAX + 1)
  t.equal(before.log.filter(({ msg }) => String(msg).startsWith('there are too many endpoints')).length, 1)
  await before.stop()

  const after = await start(t, gateway, [], directory)
  await open(after, 'later')
  await end(after, 'late', late)
  await end(after, 'early', early)
  await after.shipped()
  t.equal((await endpointsOf(after)).length, MAX + 1, 'a restart makes no room')
  t.equal(await after.count('other'), others)
  t.match(
    (await after.connections()).filter(row => row.session_id === late),
    [{ endpoint_id: 'other', reason: 'delete' }]
  )
  await checkInvariant(t, after)
})

void t.test('a session whose endpoint is not known is not ended by a guess', async t => {
  const gateway = await startGateway(t)
  const directory = t.testdir()
  const before = await start(t, gateway, [], directory)
  for (let i = 0; i < MAX; i++) await open(before, `e${i}`)
  const session = await open(before, 'beyond')
  await before.stop()
  const turnstile = await start(t, gateway, [], directory)
  t.match(await act(turnstile, `connections/${session}`), { status: 409, body: { message: /no room/ } })
  t.ok(gateway.sessions.has(`beyond ${session}`))
  await end(turnstile, 'beyond', session)
  await turnstile.shipped()
  t.equal(await turnstile.count('other'), 0)
})

void t.test('an endpoint without open sessions is deleted, for all proxies of the store', async t => {
  const server = await startDatabase()
  t.teardown(() => server.stop())
  const store = ['--store', await freshDatabase(server.url)]
  const gateway = await startGateway(t)
  const directory = t.testdir()
  const one = await start(t, gateway, [...store, '--workers', '2'], `${directory}/one`)
  const two = await start(t, gateway, store, `${directory}/two`)
  const session = await open(one, 'e')
  await open(two, 'f')
  await one.shipped()
  await two.shipped()
  t.match(await act(two, 'endpoints/e'), { status: 409, body: { message: /has open sessions/ } })
  t.equal((await one.connections()).length, 2, 'nothing is gone')
  await end(two, 'e', session)
  await two.shipped()
  t.match(await act(one, 'endpoints/e'), { status: 200, body: { status: 'deleted', endpointId: 'e' } })
  for (const turnstile of [one, two]) {
    t.same(await endpointsOf(turnstile), ['f'])
    t.match(await turnstile.connections(), [{ endpoint_id: 'f' }])
    t.match(await turnstile.query('/api/mcp/connections'), { activeConnections: 1, totalConnections: 1 })
    await checkInvariant(t, turnstile)
    t.match(await act(turnstile, 'endpoints/e'), { status: 404, body: { error: 'Not Found' } })
  }
  t.match(await act(one, `endpoints/${encodeURIComponent('知识库')}`), { status: 404 })
  t.match(await act(one, 'endpoints?endpointId=..'), { status: 404 })
  t.match(await act(one, 'endpoints'), { status: 400, body: { message: /^endpointId is missing/ } })
  await open(one, 'e')
  await one.shipped()
  t.same(await endpointsOf(two), ['e', 'f'], 'it comes back with its next session')
})
