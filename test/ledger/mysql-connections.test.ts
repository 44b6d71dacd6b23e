// Owns how the store deals with what a server's administrator chose: session settings, few connections, no GET_LOCK.
import { createConnection, type RowDataPacket } from 'mysql2/promise'
import t from 'tap'
import { openMysql } from '../../src/ledger/mysql/mysql-database.js'
import { MysqlPool } from '../../src/ledger/mysql/mysql-pool.js'
import { lockSchema, SchemaLockedError } from '../../src/ledger/mysql/mysql-schema-lock.js'
import type { All } from '../../src/ledger/mysql/mysql-schema.js'
import { SessionSettings } from '../../src/ledger/mysql/mysql-session.js'
import { sqlStore } from '../../src/ledger/sql/sql-store.js'
import { UnusableStoreError } from '../../src/ledger/store-port.js'
import { openEvent } from '../../src/sessions/session.js'
import { freshDatabase, startDatabase } from '../support/mariadb.js'

const server = await startDatabase({ own: true })
const admin = await createConnection(server.url)
t.teardown(async () => {
  admin.destroy()
  await server.stop()
})

/** Each of them bends results or blocks writes. */
const HOSTILE = {
  time_zone: "'+08:00'",
  sql_mode: "'ANSI_QUOTES,PIPES_AS_CONCAT,PAD_CHAR_TO_FULL_LENGTH,ORACLE'",
  sql_select_limit: '1',
  completion_type: "'RELEASE'",
  tx_isolation: "'SERIALIZABLE'",
  tx_read_only: '1',
  autocommit: '0',
  sql_safe_updates: '1',
  sql_auto_is_null: '1',
  max_sort_length: '64',
  wait_timeout: '28800',
  // For accounts that are no administrator's.
  init_connect: "'SET NAMES latin1'"
}

/** A new database, and an account of it with these limits. */
async function account(limits = ''): Promise<string> {
  const url = new URL(await freshDatabase(server.url))
  const name = url.pathname.slice(1)
  await admin.query(`CREATE USER ${name} IDENTIFIED BY 'secret' ${limits}`)
  await admin.query(`GRANT ALL ON ${name}.* TO ${name}`)
  url.username = name
  url.password = 'secret'
  return url.href
}

const openings = (count: number) =>
  Array.from({ length: count }, (_, i) => ({
    offset: i + 1,
    boot: 1,
    event: openEvent(
      {
        endpointId: `端点-${i}`,
        sessionId: `s-${i}`,
        transport: 2 as const,
        client: { address: '::1', userAgent: 'ü' },
        at: Date.UTC(2026, 9, 1) + i
      },
      false
    )
  }))

void t.test(
  'every connection is set up before its first statement, whatever the server is set to',
  async t => {
    const url = await account()
    const defaults = Object.keys(HOSTILE).map(name => `@@GLOBAL.${name} AS ${name}`)
    const [[before]] = await admin.query<RowDataPacket[]>(`SELECT ${defaults.join(', ')}`)
    const set = (values: [string, unknown][]): Promise<unknown> =>
      admin.query(`SET ${values.map(([name, value]) => `GLOBAL ${name} = ${String(value)}`).join(', ')}`)
    await set(Object.entries(HOSTILE))
    t.teardown(() =>
      set(
        Object.entries(before!).map(([name, value]) => [
          name,
          typeof value === 'string' ? `'${value}'` : value
        ])
      )
    )

    const pool = new MysqlPool(url, {})
    const connections = await Promise.all(Array.from({ length: 5 }, () => pool.take()))
    for (const connection of connections) {
      const [[now]] = await connection.query<RowDataPacket[]>(
        'SELECT @@time_zone AS zone, @@sql_mode AS sql_mode, @@sql_select_limit AS select_limit, @@completion_type AS completion, @@tx_isolation AS isolation, @@tx_read_only AS read_only, @@autocommit AS autocommit, @@sql_safe_updates AS safe, @@sql_auto_is_null AS auto_is_null, @@max_sort_length AS sort_length, @@wait_timeout AS wait_timeout, @@character_set_client AS charset'
      )
      t.same(now, {
        zone: '+00:00',
        sql_mode: 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION',
        select_limit: '18446744073709551615',
        completion: 'NO_CHAIN',
        isolation: 'REPEATABLE-READ',
        read_only: 0,
        autocommit: 1,
        safe: 0,
        auto_is_null: 0,
        sort_length: 1_024,
        wait_timeout: 3,
        charset: 'utf8mb4'
      })
      pool.give(connection)
    }
    await pool.close()

    const store = sqlStore(openMysql(url), { idleTimeoutMs: 0 })
    t.teardown(() => store.close())
    await store.migrate()
    await store.register({ id: 'i', boot: 1 }, 0)
    await store.apply({ id: 'i', boot: 1 }, openings(20), 0)
    t.equal((await store.counts({})).filter(({ connectNum }) => connectNum === 1).length, 20)
    const rows = await store.connections({ start: 0, end: Date.UTC(2027, 0), limit: 99 })
    t.strictSame(
      rows.map(row => row.connectAt).reverse(),
      openings(20).map(({ event }) => event.at)
    )
    t.equal(rows[0]!.userAgent, 'ü')
  }
)

void t.test('settings that a server refuses are named, and the others are made', async t => {
  const made: string[] = []
  const session = new SessionSettings()
  const run = (statement: string): Promise<Record<string, unknown>[]> => {
    if (statement.startsWith('SHOW'))
      return Promise.resolve(
        ['autocommit', 'sql_mode', 'time_zone'].map(name => ({ Variable_name: name, Value: '' }))
      )
    if (statement.includes('sql_mode'))
      return Promise.reject(Object.assign(new Error('denied'), { sqlState: '42000' }))
    made.push(statement)
    return Promise.resolve([])
  }
  await session.apply(run)
  t.strictSame(session.refused, ['sql_mode'])
  await session.apply(run)
  t.strictSame(made.slice(1), [
    'SET SESSION autocommit = 1',
    "SET SESSION time_zone = '+00:00'",
    "SET SESSION autocommit = 1, SESSION time_zone = '+00:00'"
  ])
})

void t.test(
  'with four connections of two stores, twenty queries at once of each wait, and none fails',
  async t => {
    const url = await account('WITH MAX_USER_CONNECTIONS 4')
    const stores = Array.from({ length: 2 }, () =>
      sqlStore(openMysql(url, { pools: 2 }), { idleTimeoutMs: 0 })
    )
    t.teardown(() => Promise.all(stores.map(store => store.close())))
    await stores[0]!.migrate()
    const query = { start: 0, end: Date.now(), limit: 10 }
    const results = await Promise.allSettled(
      stores.flatMap(store => Array.from({ length: 20 }, () => store.connections(query)))
    )
    t.strictSame(
      results.filter(({ status }) => status === 'rejected'),
      []
    )
  }
)

void t.test('connections that another proxy holds are waited for', async t => {
  const url = await account('WITH MAX_USER_CONNECTIONS 2')
  const holder = await createConnection(url)
  const second = await createConnection(url)
  const store = sqlStore(openMysql(url, { pools: 2 }), { idleTimeoutMs: 0 })
  t.teardown(() => store.close())
  const migrated = store.migrate()
  setTimeout(() => {
    holder.destroy()
    second.destroy()
  }, 300)
  await migrated
  t.strictSame(await store.counts({}), [])
})

void t.test('an account with fewer connections than stores is refused', async t => {
  const db = openMysql(await account('WITH MAX_USER_CONNECTIONS 1'), { pools: 2 })
  t.teardown(() => db.close())
  const error = await db.migrate().then(
    () => undefined,
    (reason: unknown) => reason
  )
  t.type(error, UnusableStoreError)
  t.match(
    (error as Error).message,
    /may have 1 connection.*, and 2 are needed: raise its max_user_connections$/
  )
})

void t.test('a server without TLS is refused where TLS is asked for', async t => {
  for (const parameter of ['ssl-mode=REQUIRED', 'ssl=true', 'sslaccept=strict']) {
    const db = openMysql(`${await account()}?${parameter}`)
    t.teardown(() => db.close())
    await t.rejects(db.migrate(), {
      code: 'TURNSTILE_UNUSABLE_STORE',
      message: /^no TLS with the database server: /
    })
  }
})

void t.test('where GET_LOCK is forbidden, a row is the lock', async t => {
  const url = await account()
  const connect = async (): Promise<{ all: All; end: () => void }> => {
    const connection = await createConnection(url)
    t.teardown(() => connection.destroy())
    return {
      all: async (text, params = []) => (await connection.query<RowDataPacket[]>(text, [...params]))[0],
      end: () => connection.destroy()
    }
  }
  // As Percona XtraDB Cluster words it.
  const forbidden: All = () =>
    Promise.reject(
      Object.assign(new Error('prohibits use of GET_LOCK with pxc_strict_mode = ENFORCING'), {
        sqlState: 'HY000'
      })
    )
  const [first, second] = [await connect(), await connect()]
  await lockSchema(forbidden, () => Promise.resolve(first.all), 1)
  await t.rejects(
    lockSchema(forbidden, () => Promise.resolve(second.all), 1),
    SchemaLockedError
  )
  first.end()
  await t.resolves(
    lockSchema(forbidden, () => Promise.resolve(second.all), 5),
    'once its holder is gone'
  )
  const broken: All = () => Promise.reject(new Error('the connection is lost'))
  await t.rejects(
    lockSchema(broken, () => Promise.resolve(second.all), 1),
    /is lost/
  )
})
