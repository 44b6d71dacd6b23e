// Owns the matrix of tables that were there before: each shape, on a strict and a lax server and one in another time zone, is
// converted with nothing lost, or refused with nothing touched.
import { createConnection, type RowDataPacket } from 'mysql2/promise'
import t, { type Test } from 'tap'
import { openMysql } from '../../src/ledger/mysql/mysql-database.js'
import { type All, schemaEditor } from '../../src/ledger/mysql/mysql-schema.js'
import { upgradeSchema } from '../../src/ledger/sql/schema/schema-upgrade.js'
import type { Row } from '../../src/ledger/sql/sql-database.js'
import { sqlStore } from '../../src/ledger/sql/sql-store.js'
import { check } from '../../src/ledger/sql/write/check.js'
import { UnusableStoreError } from '../../src/ledger/store-port.js'
import { openEvent } from '../../src/sessions/session.js'
import { reasonOf } from '../../src/util/errors.js'
import { freshDatabase, startDatabase } from '../support/mariadb.js'

const server = await startDatabase({ own: true })
t.teardown(() => server.stop())
const admin = await createConnection(server.url)
t.teardown(() => admin.destroy())
await admin.query('SET GLOBAL innodb_flush_log_at_trx_commit = 0')

/** What servers are set to. */
const SERVERS = {
  strict:
    "SET GLOBAL sql_mode = 'STRICT_TRANS_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE', GLOBAL time_zone = '+00:00'",
  lax: "SET GLOBAL sql_mode = '', GLOBAL time_zone = '+00:00'",
  '+08:00': "SET GLOBAL sql_mode = 'STRICT_TRANS_TABLES', GLOBAL time_zone = '+08:00'"
}

const ID = 'id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY'
const SESSION = 'session_id CHAR(36) NOT NULL'
const ENDPOINT = 'endpoint_id CHAR(36) NOT NULL'
const TRANSPORT = 'transport_type TINYINT NOT NULL'
const TIMES = 'connect_at DATETIME NOT NULL, disconnect_at DATETIME NOT NULL'
const STAMPS =
  'connect_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, disconnect_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP'
const COUNTS =
  'CREATE TABLE endpoint_connections_v2 (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, endpoint_id CHAR(36) NOT NULL UNIQUE, connect_num INT NOT NULL DEFAULT 0)'

interface Shape {
  logs?: readonly string[]
  options?: string
  counts?: string
  /** Statements before the tables are made, and after. */
  before?: readonly string[]
  after?: readonly string[]
  /** Rows as [endpoint, session, transport, connect, disconnect], and an id where `withId`. */
  rows?: readonly (readonly (string | number | null)[])[]
  withId?: boolean
  /** The refusal; undefined: it is converted. */
  refused?: RegExp
}

const rows = [
  ['e1', 'S-1', 2, '2026-07-01 12:00:00', '2026-07-01 13:00:00'],
  ['e1', 'S-2', 1, '2026-07-01 12:30:00', '2026-07-01 12:30:00'],
  ['e2', 's-1', 2, '2026-07-01 23:59:59', '2026-07-02 00:00:01']
]
const withIds = (...ids: (string | number)[]) => rows.map((row, i) => [...row, ids[i]!])

const shapes: Record<string, Shape> = {
  'BIGINT ids, CHAR(36), DATETIME': {},
  'UUIDs as ids, TIMESTAMP, smallint': {
    logs: ['id CHAR(36) NOT NULL PRIMARY KEY', ENDPOINT, SESSION, 'transport_type SMALLINT NOT NULL', STAMPS],
    counts:
      'CREATE TABLE endpoint_connections_v2 (id CHAR(36) PRIMARY KEY, endpoint_id CHAR(36) NOT NULL, connect_num INT NOT NULL)',
    rows: withIds('0b5e-c', '0b5e-a', '0b5e-b'),
    withId: true
  },
  'TIMESTAMP(6), both ON UPDATE': {
    logs: [
      ID,
      ENDPOINT,
      SESSION,
      TRANSPORT,
      'connect_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), disconnect_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)'
    ],
    rows: [['e1', 's', 2, '2026-07-01 12:00:00.123', '2026-07-01 12:00:00.999']]
  },
  'DATETIME(6)': {
    logs: [
      ID,
      ENDPOINT,
      SESSION,
      TRANSPORT,
      'connect_at DATETIME(6) NOT NULL, disconnect_at DATETIME(6) NOT NULL'
    ],
    rows: [['e1', 's', 2, '2026-07-01 12:00:00.123999', '2026-07-01 12:00:00.999999']]
  },
  'INT ids, NULL while open': {
    logs: [
      'id INT NOT NULL AUTO_INCREMENT PRIMARY KEY',
      ENDPOINT,
      SESSION,
      TRANSPORT,
      'connect_at DATETIME(3) NOT NULL, disconnect_at DATETIME(3) NULL'
    ],
    rows: [...rows, ['e2', 'open', 2, '2026-07-01 12:00:00.5', null]]
  },
  'a zero date while open': {
    rows: [...rows, ['e2', 'open', 2, '2026-07-01 12:00:00', '0000-00-00 00:00:00']]
  },
  'transport_type VARCHAR': { logs: [ID, ENDPOINT, SESSION, 'transport_type VARCHAR(20) NOT NULL', TIMES] },
  MyISAM: { options: 'ENGINE = MyISAM' },
  'ROW_FORMAT = COMPACT': { options: 'ROW_FORMAT = COMPACT' },
  'several rows of a session': {
    rows: [
      ...rows,
      ['e1', 'S-1', 2, '2026-07-02 12:00:00', '2026-07-02 13:00:00'],
      ['e1', 'S-1', 2, '2026-07-01 10:00:00', '2026-07-01 10:00:00']
    ]
  },
  'an end before its beginning': {
    rows: [...rows, ['e1', 'skewed', 2, '2026-07-01 12:00:00', '2026-07-01 11:59:58']]
  },
  'a unique key on session_id alone': {
    logs: [ID, ENDPOINT, 'session_id VARCHAR(64) NOT NULL UNIQUE', TRANSPORT, TIMES],
    rows: rows.slice(0, 2)
  },
  'the session id as primary key, and no id': {
    logs: [ENDPOINT, `${SESSION} PRIMARY KEY`, TRANSPORT, TIMES],
    rows: rows.slice(0, 2)
  },
  'no key at all': { logs: [ENDPOINT, SESSION, TRANSPORT, TIMES] },
  'ids beyond 2^53': {
    logs: ['id BIGINT NOT NULL PRIMARY KEY', ENDPOINT, SESSION, TRANSPORT, TIMES],
    rows: withIds('7345678901234567891', '7345678901234567890', '7345678901234567892'),
    withId: true
  },
  'sparse ids without AUTO_INCREMENT': {
    logs: ['id BIGINT NOT NULL PRIMARY KEY', ENDPOINT, SESSION, TRANSPORT, TIMES],
    rows: withIds(9_007_199_254_740_000, 17, 5),
    withId: true
  },
  'endpoint ids in latin1': {
    logs: [ID, 'endpoint_id VARCHAR(64) CHARACTER SET latin1 NOT NULL', SESSION, TRANSPORT, TIMES],
    rows: [
      ['bücher', 's', 2, '2026-07-01 12:00:00', '2026-07-01 13:00:00'],
      ['BÜCHER', 's', 2, '2026-07-01 12:00:00', '2026-07-01 12:00:00']
    ]
  },
  'numbers as endpoint ids': {
    logs: [ID, 'endpoint_id BIGINT NOT NULL', SESSION, TRANSPORT, TIMES],
    counts:
      'CREATE TABLE endpoint_connections_v2 (endpoint_id BIGINT NOT NULL PRIMARY KEY, connect_num INT UNSIGNED NOT NULL)',
    rows: [['17', 's', 2, '2026-07-01 12:00:00', '2026-07-01 13:00:00']]
  },
  'TEXT ids, names in capitals': {
    logs: [
      'ID BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY',
      'Endpoint_Id TEXT NOT NULL',
      'Session_Id TEXT NOT NULL',
      TRANSPORT,
      TIMES
    ]
  },
  'columns of an ORM': {
    logs: [
      ID,
      ENDPOINT,
      SESSION,
      TRANSPORT,
      TIMES,
      'created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, note JSON NULL'
    ]
  },
  'a NOT NULL column without default': {
    logs: [ID, ENDPOINT, SESSION, TRANSPORT, TIMES, 'tenant VARCHAR(10) NOT NULL'],
    rows: [],
    refused:
      /^column tenant of endpoint_logs_v2 is NOT NULL without a default.*: ALTER TABLE endpoint_logs_v2 MODIFY `tenant` varchar\(10\) NULL$/
  },
  'a unique key of their own': {
    logs: [ID, ENDPOINT, SESSION, TRANSPORT, TIMES, "ref VARCHAR(10) NOT NULL DEFAULT '' UNIQUE"],
    rows: rows.slice(0, 1),
    refused:
      /^column ref of endpoint_logs_v2 has a unique key, "ref".*: ALTER TABLE endpoint_logs_v2 DROP KEY `ref`$/
  },
  'a foreign key': {
    before: [
      'CREATE TABLE endpoints (id CHAR(36) PRIMARY KEY)',
      "INSERT INTO endpoints VALUES ('e1'), ('e2')"
    ],
    logs: [
      ID,
      ENDPOINT,
      SESSION,
      TRANSPORT,
      TIMES,
      'CONSTRAINT fk FOREIGN KEY (endpoint_id) REFERENCES endpoints (id)'
    ],
    refused:
      /^column endpoint_id of endpoint_logs_v2 has the foreign key "fk".*: ALTER TABLE endpoint_logs_v2 DROP FOREIGN KEY `fk`$/
  },
  'a foreign key of another table': {
    after: [
      'CREATE TABLE audit (log BIGINT UNSIGNED, CONSTRAINT fk FOREIGN KEY (log) REFERENCES endpoint_logs_v2 (id))'
    ],
    refused:
      /^column log of audit has the foreign key "fk" on endpoint_logs_v2.*: ALTER TABLE audit DROP FOREIGN KEY `fk`$/
  },
  'a CHECK': {
    logs: [ID, ENDPOINT, SESSION, TRANSPORT, TIMES, 'CONSTRAINT two CHECK (transport_type IN (1, 2))'],
    refused: /^endpoint_logs_v2 has the check "two".*: ALTER TABLE endpoint_logs_v2 DROP CONSTRAINT `two`$/
  },
  partitions: {
    logs: ['id BIGINT NOT NULL PRIMARY KEY', ENDPOINT, SESSION, TRANSPORT, TIMES],
    options: 'PARTITION BY HASH (id) PARTITIONS 3',
    rows: withIds(1, 2, 3),
    withId: true,
    refused: /^endpoint_logs_v2 is partitioned: ALTER TABLE endpoint_logs_v2 REMOVE PARTITIONING$/
  },
  'a view': {
    logs: [ID],
    rows: [],
    after: ['RENAME TABLE endpoint_logs_v2 TO logs', 'CREATE VIEW endpoint_logs_v2 AS SELECT * FROM logs'],
    refused: /^endpoint_logs_v2 is a view, and no plain table: rename it/
  },
  'times as numbers': {
    logs: [ID, ENDPOINT, SESSION, TRANSPORT, 'connect_at BIGINT NOT NULL, disconnect_at BIGINT NOT NULL'],
    rows: [['e1', 's', 2, 1_782_000_000_000, 1_782_000_000_000]],
    refused:
      /^column connect_at of endpoint_logs_v2 is bigint\(20\): make it DATETIME\(3\), in UTC; column disconnect_at /
  },
  'words as transport_type': {
    logs: [ID, ENDPOINT, SESSION, 'transport_type VARCHAR(20) NOT NULL', TIMES],
    rows: [['e1', 's', 'sse', '2026-07-01 12:00:00', '2026-07-01 13:00:00']],
    refused:
      /^column transport_type of endpoint_logs_v2 has other values than '1', '2', '3': 1 is sse, 2 is streamable$/
  },
  'ENUM as transport_type': {
    logs: [ID, ENDPOINT, SESSION, "transport_type ENUM('sse', 'streamable') NOT NULL", TIMES],
    rows: [['e1', 's', 'sse', '2026-07-01 12:00:00', '2026-07-01 13:00:00']],
    refused: /^column transport_type of endpoint_logs_v2 is enum\('sse','streamable'\): make it TINYINT$/
  },
  'session ids that are not ASCII': {
    rows: [...rows, ['e1', 'sé', 2, '2026-07-01 12:00:00', '2026-07-01 13:00:00']],
    refused:
      /^column session_id of endpoint_logs_v2 has values that are not ASCII: change or delete those rows$/
  },
  'session ids that are too long': {
    logs: [ID, ENDPOINT, 'session_id VARCHAR(512) NOT NULL', TRANSPORT, TIMES],
    rows: [['e1', 'x'.repeat(256), 2, '2026-07-01 12:00:00', '2026-07-01 13:00:00']],
    refused: /^column session_id of endpoint_logs_v2 has values of more than 255 characters: /
  },
  'rows without an endpoint': {
    logs: [ID, 'endpoint_id CHAR(36) NULL', SESSION, TRANSPORT, TIMES],
    rows: [[null, 's', 2, '2026-07-01 12:00:00', '2026-07-01 13:00:00']],
    refused: /^column endpoint_id of endpoint_logs_v2 is NULL in some rows: give them a value$/
  },
  'a far future while open': {
    rows: [['e1', 's', 2, '2026-07-01 12:00:00', '9999-12-31 23:59:59']],
    refused: /^column disconnect_at of endpoint_logs_v2 lies in the future in some rows: an open session has /
  },
  'no session ids': {
    logs: [ID, ENDPOINT, 'session CHAR(36) NOT NULL DEFAULT 0', TRANSPORT, TIMES],
    rows: [],
    after: ["INSERT INTO endpoint_logs_v2 VALUES (1, 'e', 's', 1, '2026-07-01', '2026-07-01')"],
    refused: /^column session_id of endpoint_logs_v2 is missing: ALTER TABLE endpoint_logs_v2 ADD session_id /
  },
  'several counts of an endpoint': {
    counts:
      'CREATE TABLE endpoint_connections_v2 (id INT PRIMARY KEY AUTO_INCREMENT, endpoint_id CHAR(36), transport_type TINYINT NOT NULL DEFAULT 1, connect_num INT)',
    after: [
      "INSERT INTO endpoint_connections_v2 (endpoint_id, transport_type, connect_num) VALUES ('e1', 1, 3), ('e1', 2, 4)"
    ],
    refused:
      /column endpoint_id of endpoint_connections_v2 has several rows of one endpoint: rename the table/
  }
}

interface OldDatabase {
  url: string
  all: All
}

/** The tables, made as the server's settings have it but for zero dates, which a strict server takes only from old tables. */
async function make(t: Test, shape: Shape): Promise<OldDatabase> {
  const url = await freshDatabase(server.url)
  const connection = await createConnection({
    uri: url,
    dateStrings: true,
    supportBigNumbers: true,
    bigNumberStrings: true
  })
  t.teardown(() => connection.destroy())
  const all: All = async (text, params = []) =>
    (await connection.query<RowDataPacket[]>(text, [...params]))[0]
  await all("SET SESSION sql_mode = ''")
  for (const statement of shape.before ?? []) await all(statement)
  const logs = shape.logs ?? [ID, ENDPOINT, SESSION, TRANSPORT, TIMES]
  await all(`CREATE TABLE endpoint_logs_v2 (${logs.join(', ')}) ${shape.options ?? ''}`)
  await all(shape.counts ?? COUNTS)
  const columns = `endpoint_id, session_id, transport_type, connect_at, disconnect_at${shape.withId ? ', id' : ''}`
  for (const row of shape.rows ?? rows)
    await all(`INSERT INTO endpoint_logs_v2 (${columns}) VALUES (${row.map(() => '?').join()})`, row)
  for (const statement of shape.after ?? []) await all(statement)
  await all("SET SESSION time_zone = '+00:00'")
  return { url, all }
}

/** All that the tables are and hold. */
async function contents({ all }: OldDatabase): Promise<unknown> {
  const tables = await all('SHOW FULL TABLES')
  const found = []
  for (const table of tables.map(row => String(Object.values(row)[0]))) {
    const [definition] = await all(`SHOW CREATE TABLE ${table}`)
    const [checksum] = await all(`CHECKSUM TABLE ${table}`)
    found.push([definition, checksum, await all(`SELECT * FROM ${table}`)])
  }
  return found
}

const msOf = (value: Row[string] | undefined): number | null =>
  value === null || value === undefined || String(value).startsWith('0000')
    ? null
    : Date.parse(`${String(value).replace(' ', 'T').slice(0, 23)}Z`)

const lowered = (row: Row): Row =>
  Object.fromEntries(Object.entries(row).map(([name, value]) => [name.toLowerCase(), value]))

/** Each session as the old rows told it, in the form that `after` has. */
function toldBy(old: readonly Row[]): string[] {
  return old.map(lowered).map(row => {
    const [connectAt, end] = [msOf(row.connect_at)!, msOf(row.disconnect_at)]
    const disconnectAt = end === null ? connectAt : end < connectAt ? connectAt + 1 : end
    const closedAt = end === null || end === connectAt ? null : end
    return JSON.stringify([
      row.id === undefined ? null : String(row.id),
      String(row.endpoint_id),
      row.session_id,
      Number(row.transport_type),
      connectAt,
      disconnectAt,
      closedAt
    ])
  })
}

for (const [name, shape] of Object.entries(shapes)) {
  for (const [kind, settings] of Object.entries(SERVERS)) {
    void t.test(`${name}, on a server that is ${kind}`, async t => {
      await admin.query(settings)
      const old = await make(t, shape)
      const db = openMysql(old.url)
      t.teardown(() => db.close())
      const before = await contents(old)
      if (shape.refused) {
        const error = await db.migrate().then(
          () => undefined,
          (error: unknown) => error
        )
        t.type(error, UnusableStoreError)
        t.match((error as Error).message, shape.refused)
        t.strictSame(await contents(old), before, 'nothing is touched')
        return
      }
      const told = toldBy(await old.all('SELECT * FROM endpoint_logs_v2'))
      await db.migrate()
      await isConverted(t, old, told)
      const after = await contents(old)
      await db.migrate()
      t.strictSame(await contents(old), after, 'another start changes nothing')
    })
  }
}

async function isConverted(t: Test, old: OldDatabase, told: readonly string[]): Promise<void> {
  const [{ has_old_id: hasOldId }] = (await old.all(
    "SELECT COUNT(*) AS has_old_id FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'endpoint_logs_v2' AND column_name = 'old_id'"
  )) as [{ has_old_id: string }]
  const now = await old.all(
    `SELECT ${hasOldId === '1' ? 'old_id' : 'id'} AS id, endpoint_id, session_id, transport_type, connect_at, disconnect_at, closed_at FROM endpoint_logs_v2`
  )
  const wasNumbered = told.some(row => !row.startsWith('[null'))
  const read = now.map(row =>
    JSON.stringify([
      wasNumbered ? String(row.id) : null,
      row.endpoint_id,
      String(row.session_id).replace(/#\d+$/, ''),
      Number(row.transport_type),
      msOf(row.connect_at),
      msOf(row.disconnect_at),
      msOf(row.closed_at)
    ])
  )
  t.strictSame(read.sort(), [...told].sort(), 'every row is as it was')
  const db = openMysql(old.url)
  t.teardown(() => db.close())
  for await (const difference of check(db)) t.fail('check', difference)
  const open = now.filter(row => row.connect_at === row.disconnect_at)
  const store = sqlStore(db, { idleTimeoutMs: 0 })
  t.equal((await store.totals({})).openNum, open.length)

  // A change of a row moves no time of another kind, and the same id on another endpoint is another session.
  const instance = { id: 'i', boot: 1 }
  const at = Date.UTC(2026, 7, 1)
  await store.register(instance, at)
  const events = ['new-1', 'new-2'].map(endpointId =>
    openEvent(
      { endpointId, sessionId: 'S-1', transport: 2, client: { address: '::1', userAgent: undefined }, at },
      false
    )
  )
  await store.apply(
    instance,
    events.map((event, i) => ({ offset: i + 1, boot: 1, event })),
    at
  )
  t.equal((await store.totals({})).openNum, open.length + 2)
  t.strictSame(
    (await store.connections({ endpointId: 'new-1', start: at, end: at, limit: 9 })).map(
      row => row.connectAt
    ),
    [at]
  )
}

void t.test('an upgrade that is cut after any statement is finished by the next start', async t => {
  const shape = shapes['UUIDs as ids, TIMESTAMP, smallint']!
  let statements = 0
  for (let left = 0, isCut = true; isCut; left = ++statements) {
    const old = await make(t, shape)
    const told = toldBy(await old.all('SELECT * FROM endpoint_logs_v2'))
    const db = openMysql(old.url)
    const all: All = (text, params) => (left-- > 0 ? old.all(text, params) : Promise.reject(new Error('cut')))
    isCut = await upgradeSchema({
      ...schemaEditor(all),
      write: work => (left-- > 0 ? db.write(work) : Promise.reject(new Error('cut')))
    }).then(
      () => false,
      (error: unknown) => reasonOf(error) === 'cut' || Promise.reject(error as Error)
    )
    await db.migrate()
    await db.close()
    await isConverted(t, old, told)
  }
  t.ok(statements > 30, `cut after each of ${statements} statements`)
})
