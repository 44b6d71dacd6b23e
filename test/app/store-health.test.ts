// Owns that probes and metrics tell within 5 s, without any traffic, that the store cannot be written; and that all is well
// again, without a restart, once it can.
import { copyFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import mysql from 'mysql2/promise'
import t, { type Test } from 'tap'
import { startFakeGateway } from '../support/fake-gateway.js'
import { checkInvariant } from '../support/invariant.js'
import { freshDatabase, startDatabase } from '../support/mariadb.js'
import { Scrape } from '../support/scrape.js'
import { Turnstile } from '../support/turnstile.js'

const WITHIN_MS = 5_000

const gateway = await startFakeGateway()
const server = await startDatabase({ own: true })
t.teardown(async () => {
  await server.stop()
  await gateway.stop()
})

async function start(t: Test, flags: readonly string[] = [], directory = t.testdir()): Promise<Turnstile> {
  const turnstile = await Turnstile.start(gateway.url, directory, flags)
  t.teardown(() => turnstile.stop())
  await readiness(t, turnstile, 200)
  return turnstile
}

/** Waits until `/readyz` has this status, for 5 s at most, and checks that the other reports agree. */
async function readiness(t: Test, turnstile: Turnstile, status: number): Promise<void> {
  const startedAt = performance.now()
  while ((await fetch(`${turnstile.adminUrl}/readyz`)).status !== status) {
    if (performance.now() - startedAt > WITHIN_MS) return void t.fail(`/readyz is not ${status} within 5 s`)
    await sleep(20)
  }
  const scrape = await Scrape.of(turnstile.adminUrl)
  t.equal(scrape.value('turnstile_store_up'), Number(status === 200))
  const health = await fetch(`${turnstile.adminUrl}/api/mcp/health`)
  t.match(await health.json(), { healthy: status === 200 })
  t.ok(performance.now() - startedAt < 2 * WITHIN_MS, 'none of them waits for the store')
}

async function visit(turnstile: Turnstile): Promise<void> {
  await (await fetch(`${turnstile.proxyUrl}/stream/e`, { method: 'POST', body: '{}' })).arrayBuffer()
}

const setGlobal = async (statement: string): Promise<void> => {
  const connection = await mysql.createConnection(server.url)
  await connection.query(`SET GLOBAL ${statement}`)
  await connection.end()
}

const outages: Record<string, { begin: () => unknown; end: () => unknown }> = {
  'a server that was killed': { begin: () => server.kill(), end: () => server.restart() },
  'a server that does not respond': {
    begin: () => server.signal('SIGSTOP'),
    end: () => server.signal('SIGCONT')
  },
  'a server that prepares no more statements': {
    begin: () => setGlobal('max_prepared_stmt_count = 0'),
    end: () => setGlobal('max_prepared_stmt_count = 16382')
  }
}

for (const [title, { begin, end }] of Object.entries(outages)) {
  void t.test(`${title}, without traffic`, { timeout: 60_000 }, async t => {
    const turnstile = await start(t, ['--store', await freshDatabase(server.url)])
    await visit(turnstile)
    await turnstile.shipped()
    await begin()
    await readiness(t, turnstile, 503)
    await end()
    await readiness(t, turnstile, 200)
    await visit(turnstile)
    await turnstile.shipped()
    t.equal(await turnstile.count('e'), 2)
  })
}

void t.test('a SQLite file that is moved away, and back', async t => {
  const directory = t.testdir()
  const file = join(directory, 'turnstile.db')
  const turnstile = await start(t, [], directory)
  await visit(turnstile)
  await turnstile.shipped()
  renameSync(file, `${file}.away`)
  await readiness(t, turnstile, 503)
  await visit(turnstile)
  t.match(
    turnstile.log.findLast(({ level }) => level === 40),
    { reason: /turnstile\.db was deleted or moved away: put it back/ }
  )
  renameSync(`${file}.away`, file)
  await readiness(t, turnstile, 200)
  await turnstile.shipped()
  t.equal(await turnstile.count('e'), 2)
})

void t.test('a SQLite file in the place of which a backup is put', async t => {
  const directory = t.testdir()
  const file = join(directory, 'turnstile.db')
  const turnstile = await start(t, [], directory)
  await visit(turnstile)
  await turnstile.shipped()
  const { default: Libsql } = await import('libsql')
  const db = new Libsql(file)
  db.exec(`VACUUM INTO '${file}.backup'`)
  db.close()
  await visit(turnstile)
  // Also what is told of it last: it would open it in the backup, and rightly so.
  const isWhole = async (): Promise<boolean> =>
    (await turnstile.connections()).filter(row => row.bytes_out > 0).length === 2
  while (!(await isWhole())) await sleep(20)
  t.equal(await turnstile.count('e'), 2)
  copyFileSync(`${file}.backup`, `${file}.copy`)
  renameSync(`${file}.copy`, file)
  const backedUp = async (): Promise<boolean> => (await turnstile.count('e')) === 1
  while (!(await backedUp())) await sleep(20)
  await readiness(t, turnstile, 200)
  await visit(turnstile)
  await turnstile.shipped()
  t.equal(await turnstile.count('e'), 2, 'the one of the backup, and the one since')
  await checkInvariant(t, turnstile)
})

void t.test('a SQLite file that is deleted: nothing takes its place unasked', async t => {
  const directory = t.testdir()
  const file = join(directory, 'turnstile.db')
  const turnstile = await start(t, [], directory)
  for (const ending of ['', '-wal', '-shm']) rmSync(file + ending)
  await readiness(t, turnstile, 503)
  await visit(turnstile)
  t.equal((await fetch(`${turnstile.adminUrl}/api/connections/endpoint/count`)).status, 500)
  await sleep(1_500)
  t.equal((await fetch(`${turnstile.adminUrl}/readyz`)).status, 503)
  writeFileSync(file, '')
  await readiness(t, turnstile, 200)
  await turnstile.shipped()
  t.equal(await turnstile.count('e'), 1)
})

void t.test('queries work once their file can be opened, though the first time it could not', async t => {
  const directory = t.testdir()
  const file = join(directory, 'turnstile.db')
  const turnstile = await Turnstile.start(gateway.url, directory, ['--monitoring=false'])
  t.teardown(() => turnstile.stop())
  renameSync(file, `${file}.away`)
  t.equal((await fetch(`${turnstile.adminUrl}/api/connections/endpoint/count`)).status, 500)
  renameSync(`${file}.away`, file)
  t.equal(await turnstile.count(), 0)
})
