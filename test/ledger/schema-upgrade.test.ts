// Owns the upgrade of older tables: nothing is lost, all is computed, by several proxies at once and after any cut.
import { join } from 'node:path'
import Libsql from 'libsql'
import { createConnection, type RowDataPacket } from 'mysql2/promise'
import t, { type Test } from 'tap'
import { openMysql } from '../../src/ledger/mysql/mysql-database.js'
import { type All, schemaEditor } from '../../src/ledger/mysql/mysql-schema.js'
import { readSchema } from '../../src/ledger/sql/schema/declared-schema.js'
import { upgradeSchema } from '../../src/ledger/sql/schema/schema-upgrade.js'
import type { Database } from '../../src/ledger/sql/sql-database.js'
import { sqlStore } from '../../src/ledger/sql/sql-store.js'
import { check } from '../../src/ledger/sql/write/check.js'
import { openSqlite } from '../../src/ledger/sqlite/sqlite-database.js'
import { embeddedStore } from '../../src/ledger/sqlite/sqlite-store.js'
import type { SeriesPoint, Store } from '../../src/ledger/store-port.js'
import { Transport } from '../../src/mcp/transports.js'
import { openEvent, type Sighting } from '../../src/sessions/session.js'
import { reasonOf } from '../../src/util/errors.js'
import { bruteConnections, bruteSeries } from '../support/brute-force.js'
import { freshDatabase, startDatabase } from '../support/mariadb.js'
import { Random } from '../support/random.js'

const PROXIES = 3
const HOUR = 3_600_000
const START = Date.UTC(2026, 9, 1)
const NEVER_IDLE = { idleTimeoutMs: 0 }
const SIGHTING: Sighting = {
  endpointId: 'e',
  sessionId: 's',
  transport: Transport.streamable,
  client: { address: '127.0.0.1', userAgent: undefined },
  at: START
}
const FOREVER = { start: 0, end: START + 100 * 24 * HOUR }

const server = await startDatabase()
t.teardown(() => server.stop())

interface Old {
  id: number
  endpointId: string
  sessionId: string
  transport: 1 | 2
  connectAt: number
  disconnectAt: number
}

/** Sessions of all lengths, with gaps in their ids, some open. */
function oldSessions(random: Random, count: number): Old[] {
  return Array.from({ length: count }, (_, i) => {
    const connectAt = START + random.int(0, 24 * HOUR)
    const lengthMs = random.chance(0.1) ? 0 : 4 ** random.int(0, 12) + random.int(-1, 1)
    return {
      id: 3 * i + 1,
      endpointId: `e${random.int(0, 3)}`,
      sessionId: `s${i}`,
      transport: random.pick([1, 2] as const),
      connectAt,
      disconnectAt: connectAt + lengthMs
    }
  })
}

/** The two tables as they were specified first: without most columns, keys and roll-ups. */
const oldTables = (id: string, text: string, time: string): string[] => [
  `CREATE TABLE endpoint_logs_v2 (id ${id}, endpoint_id ${text} NOT NULL, session_id ${text} NOT NULL,
   transport_type INTEGER NOT NULL, connect_at ${time} NOT NULL, disconnect_at ${time} NOT NULL,
   UNIQUE (endpoint_id, session_id))`,
  `CREATE TABLE endpoint_connections_v2 (id ${id}, endpoint_id ${text} NOT NULL UNIQUE,
   connect_num INTEGER NOT NULL DEFAULT 0, updated_at ${time} NOT NULL)`,
  // A key of another version that has a name of today's.
  'CREATE INDEX idle_time ON endpoint_logs_v2 (disconnect_at)'
]
const INSERT = 'INSERT INTO endpoint_logs_v2 VALUES (?, ?, ?, ?, ?, ?)'

async function makeOldMysql(sessions: readonly Old[]): Promise<string> {
  const url = await freshDatabase(server.url)
  const connection = await createConnection({ uri: url, timezone: 'Z' })
  const tables = oldTables('BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY', 'VARCHAR(128)', 'DATETIME(3)')
  for (const statement of tables) await connection.query(statement)
  await connection.query(
    "INSERT INTO endpoint_connections_v2 VALUES (1, 'e1', 5, NOW()), (2, 'unused', 0, NOW())"
  )
  const rows = sessions.map(s =>
    Object.values({ ...s, connectAt: new Date(s.connectAt), disconnectAt: new Date(s.disconnectAt) })
  )
  await connection.query('INSERT INTO endpoint_logs_v2 VALUES ?', [rows])
  connection.destroy()
  return url
}

function makeOldSqlite(path: string, sessions: readonly Old[]): void {
  const db = new Libsql(path)
  for (const statement of oldTables('INTEGER PRIMARY KEY AUTOINCREMENT', 'TEXT', 'INTEGER'))
    db.exec(statement)
  db.exec("INSERT INTO endpoint_connections_v2 VALUES (1, 'e1', 5, 0), (2, 'unused', 0, 0)")
  db.exec('BEGIN')
  for (const session of sessions) db.prepare(INSERT).run(Object.values(session))
  db.exec('COMMIT')
  db.close()
}

/** Every session is there as it was, and counts and roll-ups are what the sessions say. */
async function isUpgraded(t: Test, store: Store, db: Database, sessions: readonly Old[]): Promise<void> {
  const expected = sessions.map(session => ({
    ...session,
    reason: session.disconnectAt > session.connectAt ? ('gone' as const) : null
  }))
  const rows = await store.connections({ ...FOREVER, limit: sessions.length + 1 })
  t.ok(
    JSON.stringify(bruteConnections(expected, FOREVER)) ===
      JSON.stringify(
        rows.map(({ id, endpointId, sessionId, transport, connectAt, disconnectAt, reason }) => ({
          id,
          endpointId,
          sessionId,
          transport,
          connectAt,
          disconnectAt,
          reason
        }))
      ),
    'the sessions are as they were'
  )
  const unknown = { requestCount: 0, bytesIn: 0, bytesOut: 0, callCount: 0, errorCount: 0, unreadCount: 0 }
  t.match(rows.at(-1), { ...unknown, clientAddress: '', userAgent: null })

  const endpointIds = [...new Set(['unused', ...sessions.map(session => session.endpointId)])].sort()
  const open = (id: string): number => expected.filter(s => s.endpointId === id && s.reason === null).length
  t.strictSame(
    await store.counts({}),
    endpointIds.map(endpointId => ({ endpointId, connectNum: open(endpointId) }))
  )
  const range = { start: START + 12 * HOUR, end: START + 13 * HOUR, peak: true }
  const points: SeriesPoint[] = []
  for await (const chunk of store.series(range)) points.push(...chunk)
  t.ok(
    JSON.stringify(points) === JSON.stringify(bruteSeries(expected, endpointIds, range)),
    'so is the series'
  )
  for await (const difference of check(db)) t.fail('check', difference)
}

const shapeOfMysql = async (url: string): Promise<string[]> => {
  const connection = await createConnection(url)
  const shape: string[] = []
  const [tables] = await connection.query<RowDataPacket[]>('SHOW TABLES')
  for (const table of tables.flatMap(row => Object.values(row) as string[])) {
    const [[row]] = await connection.query<RowDataPacket[]>(`SHOW CREATE TABLE ${table}`)
    shape.push(...String(row!['Create Table']).split('\n'))
  }
  connection.destroy()
  return shape.map(line => line.trim().replace(/,$|AUTO_INCREMENT=\d+ /, ''))
}

void t.test('MySQL: three proxies upgrade the first tables at once', async t => {
  const random = new Random()
  t.comment(`seed ${random.seed}`)
  // Ids beyond a batch of the upgrade.
  const sessions = oldSessions(random, 4_000)
  const url = await makeOldMysql(sessions)
  const databases = Array.from({ length: PROXIES }, () => openMysql(url))
  t.teardown(() => Promise.all(databases.map(db => db.close())))
  await Promise.all(databases.map(db => db.migrate()))
  await isUpgraded(t, sqlStore(databases[0]!, NEVER_IDLE), databases[1]!, sessions)

  const upgraded = await shapeOfMysql(url)
  await Promise.all(databases.map(db => db.migrate()))
  t.strictSame(await shapeOfMysql(url), upgraded, 'another start changes nothing')
  const freshUrl = await freshDatabase(server.url)
  const fresh = openMysql(freshUrl)
  await fresh.migrate()
  await fresh.close()
  const lacking = (await shapeOfMysql(freshUrl)).filter(line => !upgraded.includes(line))
  // Of a column that was there already only the type counts.
  const same = [/^`(transport_type|connect_num)`/, /^UNIQUE KEY `count_of_endpoint`/]
  t.same(
    lacking.filter(line => !same.some(pattern => pattern.test(line))),
    [],
    'all that a new database has'
  )
})

void t.test('MySQL: endpoint ids in ASCII columns become Unicode, and nothing is lost', async t => {
  const url = await freshDatabase(server.url)
  const connection = await createConnection(url)
  t.teardown(() => connection.destroy())
  const all: All = async (text, params = []) =>
    (await connection.query<RowDataPacket[]>(text, [...params]))[0]
  for (const table of readSchema()) {
    const columns = table.columns.map(column => ({
      ...column,
      definition: column.definition.replace('utf8mb4 COLLATE utf8mb4_bin', 'ascii COLLATE ascii_bin')
    }))
    await schemaEditor(all).create({ ...table, columns }, false)
  }
  const db = openMysql(url)
  t.teardown(() => db.close())
  const store = sqlStore(db, NEVER_IDLE)
  const instance = { id: 'i', boot: 1 }
  await store.register(instance, START)
  const apply = (offset: number, endpointId: string, sessionId: string) =>
    store.apply(
      instance,
      [{ offset, boot: 1, event: openEvent({ ...SIGHTING, endpointId, sessionId }, false) }],
      START
    )
  for (let i = 1; i <= 100; i++) await apply(i, `e${i % 7}`, `s${i}`)
  const before = await store.connections({ ...FOREVER, limit: 1_000 })
  await db.migrate()
  t.strictSame(await store.connections({ ...FOREVER, limit: 1_000 }), before)
  await apply(101, '知识库', 's')
  t.strictSame(await store.counts({ endpointId: '知识库' }), [{ endpointId: '知识库', connectNum: 1 }])
  for await (const difference of check(db)) t.fail('check', difference)
  const freshUrl = await freshDatabase(server.url)
  const fresh = openMysql(freshUrl)
  await fresh.migrate()
  await fresh.close()
  t.strictSame(await shapeOfMysql(url), await shapeOfMysql(freshUrl), 'as a new database')
})

void t.test('MySQL: an upgrade that is cut short anywhere is finished by the next start', async t => {
  const sessions = oldSessions(new Random(1), 100)
  for (let steps = 0, cut = true; cut; steps++) {
    const url = await makeOldMysql(sessions)
    const db = openMysql(url)
    const connection = await createConnection(url)
    const all: All = async (text, params = []) =>
      (await connection.query<RowDataPacket[]>(text, [...params]))[0]
    let left = steps
    const counted =
      <A extends unknown[], R>(step: (...args: A) => Promise<R>) =>
      (...args: A): Promise<R> =>
        left-- > 0 ? step(...args) : Promise.reject(new Error('cut'))
    const editor = schemaEditor(all)
    cut = await upgradeSchema({
      find: editor.find,
      create: counted(editor.create),
      alter: counted(editor.alter),
      write: counted(db.write)
    }).then(
      () => false,
      (error: unknown) => reasonOf(error) === 'cut' || Promise.reject(error as Error)
    )
    connection.destroy()
    await db.migrate()
    await isUpgraded(t, sqlStore(db, NEVER_IDLE), db, sessions)
    await db.close()
    if (!cut) t.ok(steps > 12, `cut after each of ${steps} steps`)
  }
})

void t.test('SQLite: three processes upgrade the first tables at once', async t => {
  const random = new Random()
  t.comment(`seed ${random.seed}`)
  const sessions = oldSessions(random, 4_000)
  const path = join(t.testdir(), 'ledger.db')
  makeOldSqlite(path, sessions)
  const stores = Array.from({ length: PROXIES }, () => embeddedStore(path, NEVER_IDLE))
  t.teardown(() => Promise.all(stores.map(store => store.close())))
  await Promise.all(stores.map(store => store.migrate()))
  const db = openSqlite(path)
  t.teardown(() => db.close())
  await isUpgraded(t, stores[0]!, db, sessions)

  const shape = () => db.read(sql => sql.all('SELECT name, sql FROM sqlite_master ORDER BY name'))
  const upgraded = await shape()
  await Promise.all(stores.map(store => store.migrate()))
  t.strictSame(await shape(), upgraded, 'another start changes nothing')
})
