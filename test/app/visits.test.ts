// Owns session-less clients end to end: two proxies on one MariaDB, as an operator sees their clients.
import { setTimeout as sleep } from 'node:timers/promises'
import mysql, { type RowDataPacket } from 'mysql2/promise'
import t, { type Test } from 'tap'
import { startFakeGateway } from '../support/fake-gateway.js'
import { checkInvariant } from '../support/invariant.js'
import { freshDatabase, startDatabase } from '../support/mariadb.js'
import { call } from '../support/session-less.js'
import { type ConnectionJson, Turnstile } from '../support/turnstile.js'

const IDLE_MS = 3_000

const gateway = await startFakeGateway()
const server = await startDatabase()
t.teardown(async () => {
  await server.stop()
  await gateway.stop()
})

async function start(t: Test, flags: string[] = []): Promise<Turnstile> {
  const turnstile = await Turnstile.start(gateway.url, t.testdir(), flags)
  t.teardown(() => turnstile.stop())
  return turnstile
}

/** The rows, oldest first, once they are as they should be. */
async function rowsOnce(
  turnstile: Turnstile,
  isRight: (rows: ConnectionJson[]) => boolean
): Promise<ConnectionJson[]> {
  for (;;) {
    const rows = (await turnstile.connections('&transport=sessionless')).reverse()
    if (isRight(rows)) return rows
    await sleep(20)
  }
}

void t.test('two proxies agree on one visit, and a client that comes back begins another', async t => {
  const store = await freshDatabase(server.url)
  const flags = ['--store', store, '--session-idle-timeout', `${IDLE_MS}ms`]
  const [one, two] = [await start(t, flags), await start(t, flags)]
  const client = { userAgent: 'agent/1', authorization: 'Bearer secret-token', name: 'tester' }
  const use = async (turnstile: Turnstile, method = 'tools/call'): Promise<void> => {
    await (await call(`${turnstile.proxyUrl}/stream/e`, client, method, { name: 'echo' })).arrayBuffer()
  }
  await use(one, 'no/such')
  await one.shipped()
  t.equal(await one.count('e'), 0, 'what is refused opens nothing')
  await use(one)
  await Promise.all([use(one), use(two), use(two, 'server/discover')])
  const [open] = await rowsOnce(one, rows => rows[0]?.request_count === 4)
  t.match(open, {
    endpoint_id: 'e',
    session_id: /^[0-9a-f-]{36}$/,
    transport_type: 3,
    reason: null,
    client_address: '127.0.0.1',
    user_agent: 'agent/1',
    client_name: 'tester',
    client_version: '1.2.3',
    protocol_version: '2026-07-28'
  })
  t.equal(await two.count('e'), 1)
  await use(two, 'no/such')
  t.equal(await two.count('e'), 1, '404 ends nothing')

  const [closed] = await rowsOnce(one, rows => rows[0]?.reason === 'idle')
  t.equal(Date.parse(closed!.disconnect_at) - Date.parse(closed!.last_seen_at), IDLE_MS)
  await use(two)
  const rows = await rowsOnce(one, found => found.length === 2)
  t.match(rows, [
    { session_id: open!.session_id, reason: 'idle' },
    { reason: null, request_count: 1 }
  ])
  await checkInvariant(t, one)

  const connection = await mysql.createConnection(store)
  t.teardown(() => connection.end())
  const [tables] = await connection.query<RowDataPacket[]>('SHOW TABLES')
  for (const table of tables.map(row => String(Object.values(row)[0]))) {
    const [found] = await connection.query(`SELECT * FROM ${table}`)
    t.notMatch(JSON.stringify(found), 'secret-token', `${table} holds no credentials`)
  }
})

void t.test('a listen stream keeps its client connected', async t => {
  const turnstile = await start(t, ['--session-idle-timeout', '1s'])
  const url = `${turnstile.proxyUrl}/stream/e`
  const listening = new AbortController()
  // Held, since a response that is collected as garbage closes its connection.
  const stream = await call(url, { userAgent: 'listener' }, 'subscriptions/listen', {}, listening.signal)
  await (await call(url, { userAgent: 'caller' }, 'ping')).arrayBuffer()
  await rowsOnce(turnstile, rows => rows.some(row => row.user_agent === 'caller' && row.reason === 'idle'))
  await sleep(1_500)
  const isOpen = (row: ConnectionJson): boolean => row.user_agent === 'listener' && row.reason === null
  await rowsOnce(turnstile, rows => rows.some(isOpen))
  t.equal((await turnstile.connections('&transport=3')).length, 2, 'the same row all the time')
  const leftAt = Date.now()
  listening.abort()
  await t.rejects(stream.text())
  const rows = await rowsOnce(turnstile, found => found.every(row => row.reason === 'idle'))
  const { last_seen_at, disconnect_at } = rows.find(row => row.user_agent === 'listener')!
  t.ok(Math.abs(Date.parse(last_seen_at) - leftAt) < 500, 'until the stream ended')
  t.equal(Date.parse(disconnect_at) - Date.parse(last_seen_at), 1_000)
  await checkInvariant(t, turnstile)
})

void t.test('all revisions at once, and who is the same client', async t => {
  const turnstile = await start(t)
  const url = `${turnstile.proxyUrl}/stream/e`
  const opened = await fetch(url, { method: 'POST', headers: { 'user-agent': 'same' }, body: '{}' })
  await opened.arrayBuffer()
  for (const client of [
    { userAgent: 'same' },
    { userAgent: 'same', name: 'another name' },
    { userAgent: 'other' },
    { userAgent: 'same', authorization: 'Bearer 1' },
    { userAgent: 'same', authorization: 'Bearer 2' }
  ])
    await (await call(url, client, 'ping')).arrayBuffer()
  await (await call(`${turnstile.proxyUrl}/stream/f`, { userAgent: 'same' }, 'ping')).arrayBuffer()
  await turnstile.shipped()
  t.equal(await turnstile.count('e'), 6, 'a session and five visits')
  t.equal(await turnstile.count('f'), 1)
  const count = async (transport: string): Promise<unknown> =>
    await turnstile.query(`/api/connections/endpoint/count?endpoint_id=e&transport=${transport}`)
  t.match(await count('sessionless'), { endpoint_id: 'e', connect_num: 5 })
  t.match(await count('streamable'), { endpoint_id: 'e', connect_num: 1 })
  const headers = { 'mcp-session-id': opened.headers.get('mcp-session-id')! }
  t.equal((await fetch(url, { method: 'DELETE', headers })).status, 202)
  await turnstile.shipped()
  t.equal(await turnstile.count('e'), 5)
  await checkInvariant(t, turnstile)
})

void t.test('behind a trusted load balancer clients are told apart by X-Forwarded-For', async t => {
  const turnstile = await start(t, ['--trusted-proxy', '127.0.0.1'])
  for (const address of ['203.0.113.1', '203.0.113.2', '198.51.100.7, 203.0.113.2']) {
    const headers = { 'x-forwarded-for': address, 'mcp-protocol-version': '2026-07-28' }
    const answer = await fetch(`${turnstile.proxyUrl}/stream/e`, { method: 'POST', headers, body: '{}' })
    await answer.arrayBuffer()
  }
  const rows = await rowsOnce(turnstile, found => found.some(row => row.request_count === 2))
  t.same(
    rows.map(row => [row.client_address, row.request_count]),
    [
      ['203.0.113.1', 1],
      ['203.0.113.2', 2]
    ]
  )
})
