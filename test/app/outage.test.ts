// Owns what an outage of the database costs: nothing. The proxy forwards at once, and everything is applied in the end.
import { setTimeout as sleep } from 'node:timers/promises'
import mysql from 'mysql2/promise'
import t, { type Test } from 'tap'
import { startFakeGateway } from '../support/fake-gateway.js'
import { checkInvariant } from '../support/invariant.js'
import { freshDatabase, startDatabase } from '../support/mariadb.js'
import { Scrape } from '../support/scrape.js'
import { Turnstile } from '../support/turnstile.js'

/** Far longer than forwarding takes, far shorter than any wait for a database. */
const AT_ONCE_MS = 2_000

const gateway = await startFakeGateway()
const server = await startDatabase({ own: true })
t.teardown(async () => {
  await server.stop()
  await gateway.stop()
})

async function start(t: Test, url: string): Promise<Turnstile> {
  const turnstile = await Turnstile.start(gateway.url, t.testdir(), ['--store', url])
  t.teardown(() => turnstile.stop())
  return turnstile
}

/** Opens a session through the proxy, deletes it or not; fails when that takes time. */
async function visit(t: Test, turnstile: Turnstile, leave: 'delete' | 'stay'): Promise<void> {
  const url = `${turnstile.proxyUrl}/stream/e`
  const signal = AbortSignal.timeout(AT_ONCE_MS)
  const opened = await fetch(url, { method: 'POST', body: '{}', signal })
  await opened.arrayBuffer()
  t.equal(opened.status, 200)
  if (leave === 'stay') return
  const headers = { 'mcp-session-id': opened.headers.get('mcp-session-id')! }
  t.equal((await fetch(url, { method: 'DELETE', headers, signal })).status, 202)
}

async function query(url: string, statement: string): Promise<void> {
  const connection = await mysql.createConnection(url)
  await connection.query(statement)
  await connection.end()
}

/** Resolves when `/readyz` says that the store cannot be written. */
async function notReady(turnstile: Turnstile): Promise<void> {
  while ((await fetch(`${turnstile.adminUrl}/readyz`)).status !== 503) await sleep(10)
}

/** A database of its own, and a user who may do with it what docs/database.md says, no more. */
async function databaseOfUser(): Promise<string> {
  const url = new URL(await freshDatabase(server.url))
  const name = url.pathname.slice(1)
  await query(url.href, `CREATE USER ${name} IDENTIFIED BY 'secret'`)
  await query(url.href, `GRANT CREATE, ALTER, INDEX, SELECT, INSERT, UPDATE, DELETE ON ${name}.* TO ${name}`)
  url.username = name
  url.password = 'secret'
  return url.href
}

const outages: [
  title: string,
  begin: (name: string) => Promise<void>,
  end: (name: string) => Promise<void>
][] = [
  ['killed', () => Promise.resolve(server.kill()), () => server.restart()],
  [
    'read-only',
    () => query(server.url, 'SET GLOBAL read_only = 1'),
    () => query(server.url, 'SET GLOBAL read_only = 0')
  ],
  [
    'its database gone',
    name => query(server.url, `DROP DATABASE ${name}`),
    name => query(server.url, `CREATE DATABASE ${name}`)
  ]
]

for (const [title, begin, end] of outages) {
  void t.test(`${title}, and back`, { timeout: 60_000 }, async t => {
    const url = await databaseOfUser()
    const turnstile = await start(t, url)
    await turnstile.shipped()
    const name = new URL(url).pathname.slice(1)
    await begin(name)
    for (let i = 0; i < 20; i++) await visit(t, turnstile, i % 2 === 0 ? 'delete' : 'stay')
    await notReady(turnstile)
    t.match(turnstile.log.at(-1), { level: 40, msg: /the store cannot be written/ })
    const scrape = await Scrape.of(turnstile.adminUrl)
    t.equal(scrape.value('turnstile_store_up'), 0)
    t.equal(scrape.value('turnstile_store_readable'), title === 'read-only' ? 1 : 0)
    t.ok(scrape.value('turnstile_outbox_events')! >= 30, 'what clients did waits')
    t.ok(scrape.value('turnstile_store_errors_total', { by: 'shipper' })! > 0)
    await end(name)
    await turnstile.shipped()
    t.equal(await turnstile.count('e'), 10)
    t.equal((await turnstile.connections()).length, 20)
    t.equal((await fetch(`${turnstile.adminUrl}/readyz`)).status, 200)
    await checkInvariant(t, turnstile)
  })
}

void t.test('not there at the start', async t => {
  const url = await freshDatabase(server.url)
  server.kill()
  const turnstile = await start(t, url)
  await visit(t, turnstile, 'stay')
  await notReady(turnstile)
  await server.restart()
  await turnstile.shipped()
  t.equal(await turnstile.count('e'), 1)
})

void t.test('a wrong password is told, without the password', async t => {
  const url = new URL(await freshDatabase(server.url))
  url.password = 'not-the-password'
  const turnstile = await start(t, url.href)
  await visit(t, turnstile, 'stay')
  await notReady(turnstile)
  const warning = turnstile.log.find(entry => entry['level'] === 40)
  t.match(warning, { reason: /access denied/i })
  t.notMatch(JSON.stringify(turnstile.log), /not-the-password/)
})
