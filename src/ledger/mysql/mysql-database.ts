// Owns the MySQL side of the database port: its SQL dialect, the pool of @fastify/mysql, transactions, and the retries that
// the server asks for.
import fastifyMysql from '@fastify/mysql'
import Fastify from 'fastify'
import type { Pool, PoolConnection, RowDataPacket } from 'mysql2/promise'
import { codeOf } from '../../util/errors.js'
import { upgradeSchema } from '../sql/schema/schema-upgrade.js'
import type { Database, Dialect, Param, Row, Sql } from '../sql/sql-database.js'
import { lockSchema, schemaEditor } from './mysql-schema.js'

/** Chosen: a server within reach accepts in milliseconds, and the shipper tries again after a failure. */
const CONNECT_TIMEOUT_MS = 5_000
/** Chosen: the shipper and the maintenance need one each, the others are for queries; a fleet must fit the server's limit. */
const MAX_CONNECTIONS = 10
/** Chosen: enough for the shipper and the maintenance; connections beyond that are closed when they are idle. */
const MAX_IDLE_CONNECTIONS = 2
/** A server that hangs, or a network that drops everything, counts as a failure after this time. Chosen. */
const STATEMENT_TIMEOUT_MS = 30_000
/**
 * The server's `wait_timeout`: a process that hangs inside a transaction holds its locks no longer than this. It must be a
 * good deal less than any lease.
 */
const MAX_SILENCE_S = 3
/** `wait_timeout` of the connection that upgrades the tables: a day, for the change of a big table takes its time. */
const SCHEMA_SILENCE_S = 86_400
/** How long one start waits for the upgrade by another instance before it fails and tries again. Chosen. */
const SCHEMA_LOCK_WAIT_S = 10
/** The pool closes an idle connection after this time: half of `MAX_SILENCE_S`, so that the pool is first. */
const POOL_IDLE_MS = 1_500
/** Statements prepared at once on each connection; chosen well above the number of texts that the ledger writes. */
const MAX_PREPARED_STATEMENTS = 500
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
  // By time alone: endpoint by endpoint MySQL would use no more of a key than endpoint_id, and read its whole history.
  netByEndpoint: table =>
    `SELECT endpoint_id, SUM(opened - closed) AS net FROM ${table} WHERE start_at >= ? AND start_at < ? GROUP BY endpoint_id`,
  forUpdate: ' FOR UPDATE',
  onConflict(key, set, add) {
    const changes = [
      ...set.map(column => `${column} = VALUES(${column})`),
      ...add.map(column => `${column} = ${column} + VALUES(${column})`)
    ]
    return `ON DUPLICATE KEY UPDATE ${changes.length > 0 ? changes.join(', ') : `${key[0]} = ${key[0]}`}`
  }
}

/**
 * A ledger in MySQL 8.0+ or MariaDB 10.6+. `url`: `mysql://user:password@host:port/database`. It connects when it is first
 * used, and again after a failure. Its methods throw the errors of mysql2; `migrate` also throws `SchemaLockedError`.
 */
export function openMysql(url: string): Database {
  let connecting: Promise<Pool & { end(): Promise<void> }> | undefined
  const pool = async (): Promise<Pool> => {
    connecting ??= connect(url)
    try {
      return await connecting
    } catch (error) {
      connecting = undefined
      throw error
    }
  }

  const transaction = async <T>(begin: readonly string[], work: (sql: Sql) => Promise<T>): Promise<T> => {
    const connection = await (await pool()).getConnection()
    try {
      for (const sql of begin) await connection.query({ sql, timeout: STATEMENT_TIMEOUT_MS })
      const value = await work(sqlOn(connection))
      await connection.query({ sql: 'COMMIT', timeout: STATEMENT_TIMEOUT_MS })
      connection.release()
      return value
    } catch (error) {
      // The transaction's state is unknown. Closing the connection rolls back all that was not committed.
      connection.destroy()
      throw error
    }
  }

  const database: Database = {
    async write(work) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await transaction(
            ['SET TRANSACTION ISOLATION LEVEL READ COMMITTED', 'START TRANSACTION'],
            work
          )
        } catch (error) {
          if (attempt === MAX_ATTEMPTS || !RETRY_CODES.has(codeOf(error))) throw error
        }
      }
    },
    // The first statement takes the snapshot. Not all databases of MySQL's family know WITH CONSISTENT SNAPSHOT.
    read: work =>
      transaction(['SET TRANSACTION ISOLATION LEVEL REPEATABLE READ', 'START TRANSACTION READ ONLY'], work),
    // The server limits how many statements all its clients together have prepared (`max_prepared_stmt_count`).
    async probe() {
      const connection = await (await pool()).getConnection()
      try {
        await connection.execute({ sql: PROBE, timeout: STATEMENT_TIMEOUT_MS })
        connection.unprepare(PROBE)
        connection.release()
      } catch (error) {
        connection.destroy()
        throw error
      }
    },
    async migrate() {
      const connection = await (await pool()).getConnection()
      try {
        const all = async (text: string, params: readonly Param[] = []): Promise<Row[]> =>
          (await connection.query<RowDataPacket[]>(text, [...params]))[0]
        // The lock lives as long as its connection.
        await all(`SET SESSION wait_timeout = ${SCHEMA_SILENCE_S}`)
        await lockSchema(all, SCHEMA_LOCK_WAIT_S)
        await upgradeSchema({ ...schemaEditor(all), write: database.write })
      } finally {
        connection.destroy()
      }
    },
    async close() {
      await (await connecting?.catch(() => undefined))?.end()
    }
  }
  return database
}

async function connect(url: string): Promise<Pool> {
  const host = Fastify()
  try {
    await host.register(fastifyMysql, {
      promise: true,
      uri: url,
      timezone: 'Z',
      dateStrings: true,
      connectTimeout: CONNECT_TIMEOUT_MS,
      connectionLimit: MAX_CONNECTIONS,
      // Less than connectionLimit: only then does mysql2 close idle connections.
      maxIdle: MAX_IDLE_CONNECTIONS,
      idleTimeout: POOL_IDLE_MS,
      enableKeepAlive: true,
      maxPreparedStatements: MAX_PREPARED_STATEMENTS
    })
  } catch (error) {
    await host.close()
    throw error
  }
  const pool = (host as unknown as { mysql: { pool: Pool } }).mysql.pool
  pool.pool.on('connection', connection => {
    // Whoever uses a connection gets its error; the error of one that nobody uses must not end the process.
    connection.on('error', () => undefined)
    connection.query(`SET SESSION wait_timeout = ${MAX_SILENCE_S}, time_zone = '+00:00'`, () => undefined)
  })
  return pool
}

const sqlOn = (connection: PoolConnection): Sql => ({
  dialect: mysqlDialect,
  async all(text, params = []) {
    const [rows] = await connection.execute<RowDataPacket[]>(bound(text, params))
    return decodeTimes(rows)
  },
  async run(text, params = []) {
    await connection.execute(bound(text, params))
  }
})

const bound = (sql: string, params: readonly Param[]) => ({
  sql,
  values: [...params],
  timeout: STATEMENT_TIMEOUT_MS
})

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
