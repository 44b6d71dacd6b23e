// Owns the MySQL side of the database port: its SQL dialect, transactions, and the retries that the server asks for.
import type { PoolConnection, RowDataPacket } from 'mysql2/promise'
import { codeOf } from '../../util/errors.js'
import { isUpToDate, upgradeSchema } from '../sql/schema/schema-upgrade.js'
import type { Database, Dialect, Param, Row, Sql } from '../sql/sql-database.js'
import { type MysqlOptions, MysqlPool } from './mysql-pool.js'
import { lockSchema } from './mysql-schema-lock.js'
import { type All, schemaEditor } from './mysql-schema.js'
import { isTidb, TIDB_RETRY_ERRORS } from './mysql-tidb.js'

/** A server that hangs, or a network that drops everything, counts as a failure after this time. Chosen. */
const STATEMENT_TIMEOUT_MS = 30_000
/** mysql2: no time limit. */
const NO_TIMEOUT = 0
/** `wait_timeout` of the connection that upgrades the tables: a day, for the change of a big table takes its time. */
const SCHEMA_SILENCE_S = 86_400
/** How long one start waits for the upgrade by another instance before it fails and tries again. Chosen. */
const SCHEMA_LOCK_WAIT_S = 10
/** A statement that any server takes. */
const PROBE = 'SELECT 1'
/** Attempts of one transaction. Chosen: a deadlock that comes back so often is worth an error. */
const MAX_ATTEMPTS = 10

/** The errors after which a transaction is repeated: deadlock, lock wait timeout, MariaDB's "record has changed since last read". */
const RETRY_CODES = new Set<string | undefined>(['ER_LOCK_DEADLOCK', 'ER_LOCK_WAIT_TIMEOUT', 'ER_CHECKREAD'])

/** The earliest instant of DATETIME (MySQL 8.0 reference manual, "The DATE, DATETIME, and TIMESTAMP Types"). */
const EARLIEST = Date.UTC(1000, 0, 1)

const isoTime = (at: number): string =>
  new Date(Math.max(at, EARLIEST)).toISOString().slice(0, 23).replace('T', ' ')

/** What differs by SQL dialect, for MySQL and MariaDB. */
export const mysqlDialect: Dialect = {
  time: isoTime,
  now: 'UTC_TIMESTAMP(3)',
  epochMs: column => `TIMESTAMPDIFF(MICROSECOND, '1970-01-01', ${column}) DIV 1000`,
  nextMs: column => `${column} + INTERVAL 1000 MICROSECOND`,
  // By time alone: endpoint by endpoint MySQL would use no more of a key than endpoint_id, and read its whole history.
  netByEndpoint: table =>
    `SELECT endpoint_id, SUM(opened - closed) AS net FROM ${table} WHERE start_at >= ? AND start_at < ? GROUP BY endpoint_id`,
  forUpdate: ' FOR UPDATE',
  onConflict(key, set, add, raise = []) {
    const changes = [
      ...set.map(column => `${column} = VALUES(${column})`),
      ...add.map(column => `${column} = ${column} + VALUES(${column})`),
      ...raise.map(column => `${column} = GREATEST(${column}, VALUES(${column}))`)
    ]
    return `ON DUPLICATE KEY UPDATE ${changes.length > 0 ? changes.join(', ') : `${key[0]} = ${key[0]}`}`
  }
}

/**
 * A ledger in MySQL 8.0+ or MariaDB 10.6+. `url`: as `parseMysqlUrl` reads it. It connects when it is first used, and again
 * after a failure. Its methods throw the errors of mysql2 and `UnusableStoreError`; `migrate` also throws
 * `SchemaLockedError`.
 */
export function openMysql(url: string, options: MysqlOptions = {}): Database {
  const pool = new MysqlPool(url, options)
  let migrating: Promise<void> | undefined

  const transaction = async <T>(begin: readonly string[], work: (sql: Sql) => Promise<T>): Promise<T> => {
    const connection = await pool.take()
    try {
      if (options.silenceS !== undefined)
        await connection.query(`SET SESSION wait_timeout = ${options.silenceS}`)
      const value = await transactionOn(connection, begin, work, STATEMENT_TIMEOUT_MS)
      pool.give(connection)
      return value
    } catch (error) {
      pool.give(connection, true)
      throw error
    }
  }

  /** Looks at the tables, and changes them if they are not as they should be. */
  const migrate = async (): Promise<void> => {
    const taken: PoolConnection[] = []
    const take = async (): Promise<PoolConnection> => {
      const connection = await pool.take()
      taken.push(connection)
      await connection.query(`SET SESSION wait_timeout = ${SCHEMA_SILENCE_S}`)
      return connection
    }
    try {
      const connection = await take()
      const all = allOn(connection)
      const editor = schemaEditor(all)
      // Its connections outlive a database that was dropped.
      const names = await all(
        'SELECT schema_name FROM information_schema.schemata WHERE schema_name = DATABASE()'
      )
      if (names.length === 0) throw new Error('the database does not exist')
      if (await isUpToDate(editor)) return
      options.log?.info({}, 'the tables of the store are made or upgraded')
      await lockSchema(all, async () => allOn(await take()), SCHEMA_LOCK_WAIT_S)
      if (!(await isTidb(all))) await all(TRUNCATE_FRACTIONS)
      await upgradeSchema({
        ...editor,
        write: work =>
          retried(() => transactionOn(connection, ['ROLLBACK', ...BEGIN_WRITE], work, NO_TIMEOUT))
      })
    } finally {
      // With their session settings, and their locks.
      for (const connection of taken) pool.give(connection, true)
    }
  }

  return {
    write: work => retried(() => transaction(BEGIN_WRITE, work)),
    // The first statement takes the snapshot. Not all databases of MySQL's family know WITH CONSISTENT SNAPSHOT, and TiDB
    // refuses READ ONLY.
    read: work => transaction(['SET TRANSACTION ISOLATION LEVEL REPEATABLE READ', 'START TRANSACTION'], work),
    // The server limits how many statements all its clients together have prepared (`max_prepared_stmt_count`).
    async probe() {
      const connection = await pool.take()
      try {
        await connection.execute({ sql: PROBE, timeout: STATEMENT_TIMEOUT_MS })
        connection.unprepare(PROBE)
        pool.give(connection)
      } catch (error) {
        pool.give(connection, true)
        throw error
      }
    },
    // What the server keeps in its logs is its own.
    scrub: () => Promise.resolve(),
    async isUpToDate() {
      const connection = await pool.take()
      try {
        return await isUpToDate(schemaEditor(allOn(connection)))
      } finally {
        pool.give(connection, true)
      }
    },
    migrate: () => (migrating ??= migrate().finally(() => (migrating = undefined))),
    close: () => pool.close()
  }
}

const BEGIN_WRITE = ['SET TRANSACTION ISOLATION LEVEL READ COMMITTED', 'START TRANSACTION']

/** A time with microseconds loses them, as in MariaDB; MySQL would round it up. */
const TRUNCATE_FRACTIONS =
  "SET SESSION sql_mode = CONCAT(@@sql_mode, IF(VERSION() LIKE '%MariaDB%', '', ',TIME_TRUNCATE_FRACTIONAL'))"

/** Repeats a transaction as often as the server asks for it. */
async function retried<T>(transaction: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await transaction()
    } catch (error) {
      if (attempt === MAX_ATTEMPTS || !asksForRetry(error)) throw error
    }
  }
}

const asksForRetry = (error: unknown): boolean =>
  RETRY_CODES.has(codeOf(error)) || TIDB_RETRY_ERRORS.has((error as { errno?: unknown }).errno)

/** Runs one transaction. After a failure its state is unknown, until another one begins or the connection is closed. */
async function transactionOn<T>(
  connection: PoolConnection,
  begin: readonly string[],
  work: (sql: Sql) => Promise<T>,
  timeout: number
): Promise<T> {
  for (const sql of begin) await connection.query({ sql, timeout })
  const value = await work(sqlOn(connection, timeout))
  await connection.query({ sql: 'COMMIT', timeout })
  return value
}

const allOn =
  (connection: PoolConnection): All =>
  async (text, params = []) =>
    (await connection.query<RowDataPacket[]>(text, [...params]))[0]

function sqlOn(connection: PoolConnection, timeout: number): Sql {
  const bound = (sql: string, params: readonly Param[]) => ({ sql, values: [...params], timeout })
  return {
    dialect: mysqlDialect,
    async all(text, params = []) {
      const [rows] = await connection.execute<RowDataPacket[]>(bound(text, params))
      return decodeTimes(rows)
    },
    async run(text, params = []) {
      await connection.execute(bound(text, params))
    }
  }
}

/** Columns whose name ends in `_at` are instants: `2026-11-21 07:33:00.000`, UTC. */
function decodeTimes(rows: RowDataPacket[]): Row[] {
  const names = Object.keys(rows[0] ?? {}).filter(name => name.endsWith('_at'))
  for (const name of names) {
    for (const row of rows) {
      const value: unknown = row[name]
      if (typeof value === 'string') row[name] = Date.parse(`${value.replace(' ', 'T')}Z`)
    }
  }
  return rows
}
