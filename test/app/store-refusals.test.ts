// Owns how a start deals with a store that cannot be used as it is, and how the probes tell of an upgrade under way.
import { spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createConnection } from 'mysql2/promise'
import t, { type Test } from 'tap'
import { startFakeGateway } from '../support/fake-gateway.js'
import { freshDatabase, startDatabase } from '../support/mariadb.js'
import { Turnstile } from '../support/turnstile.js'

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url))

const server = await startDatabase()
const gateway = await startFakeGateway()
t.teardown(async () => {
  await gateway.stop()
  await server.stop()
})

const OLD_TABLE = `CREATE TABLE endpoint_logs_v2 (id BIGINT PRIMARY KEY AUTO_INCREMENT, endpoint_id CHAR(36) NOT NULL,
  session_id CHAR(36) NOT NULL, transport_type TINYINT NOT NULL, connect_at DATETIME NOT NULL, disconnect_at DATETIME NOT NULL`

/** Runs the command line until it ends. */
function run(t: Test, ...flags: string[]): { status: number | null; stderr: string } {
  const args = [
    '--upstream',
    gateway.url,
    '--listen',
    '127.0.0.1:0',
    '--admin',
    '127.0.0.1:0',
    '--data-dir',
    t.testdir()
  ]
  return spawnSync(process.execPath, [MAIN, ...args, ...flags], { encoding: 'utf8', timeout: 60_000 })
}

void t.test('tables that cannot be converted stop the start, with one line and exit code 2', async t => {
  const url = await freshDatabase(server.url)
  const connection = await createConnection(url)
  t.teardown(() => connection.destroy())
  await connection.query(`${OLD_TABLE}, tenant VARCHAR(9) NOT NULL)`)
  for (const workers of ['1', '2']) {
    const { status, stderr } = run(t, '--store', url, '--workers', workers)
    t.equal(status, 2)
    t.match(
      stderr,
      /^mcp-turnstile: column tenant of endpoint_logs_v2 is NOT NULL without a default[^\n]*\n$/
    )
  }
})

void t.test('connections for fewer than all workers and the admin port stop the start', t => {
  const { status, stderr } = run(t, '--store', `${server.url}?connection_limit=2`, '--workers', '2')
  t.equal(status, 2)
  t.match(stderr, /^mcp-turnstile: connection_limit=2 of --store cannot be used: give at least 3[^\n]*\n$/)
  t.end()
})

void t.test('/readyz says 503 while tables are upgraded, and clients are served', async t => {
  const url = await freshDatabase(server.url)
  const connection = await createConnection(url)
  t.teardown(() => connection.destroy())
  await connection.query(`${OLD_TABLE})`)
  // Whoever reads the table holds up its change.
  await connection.query('LOCK TABLES endpoint_logs_v2 READ')
  const turnstile = await Turnstile.start(gateway.url, t.testdir(), ['--store', url])
  t.teardown(() => turnstile.stop())
  const ready = async (): Promise<number> => (await fetch(`${turnstile.adminUrl}/readyz`)).status
  t.equal(await ready(), 503)
  t.equal((await fetch(`${turnstile.proxyUrl}/stream/e`, { method: 'POST', body: '{}' })).status, 200)
  await connection.query('UNLOCK TABLES')
  while ((await ready()) !== 200) await sleep(20)
  await turnstile.shipped()
  t.equal(await turnstile.count('e'), 1)
})
