// Owns the SQLite side of the database port: its SQL dialect, and a libsql connection with its statements and transactions.
import type Libsql from 'libsql'
import { isUpToDate, upgradeSchema } from '../sql/schema/schema-upgrade.js'
import type { Database, Dialect, Param, Row, Sql } from '../sql/sql-database.js'
import { giveBackSpace, letShrink, overwriteLog, SECURE, SHRINKABLE } from './sqlite-file.js'
import { schemaEditor } from './sqlite-schema.js'
import { WatchedFile } from './watched-file.js'

/** Statements kept prepared; chosen well above the number of texts that the ledger writes. */
const MAX_PREPARED_STATEMENTS = 500
/** How long a statement waits while another process or thread writes the file. Chosen: no transaction of ours takes as long. */
const BUSY_TIMEOUT_MS = 10_000

/** Free pages given back to the disk after a transaction. Chosen: about 5 ms of the thread that writes. */
const MAX_PAGES_GIVEN_BACK = 256

/** What differs by SQL dialect, for SQLite. */
const sqliteDialect: Dialect = {
  time: at => at,
  now: "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
  epochMs: column => column,
  nextMs: column => `${column} + 1`,
  // Endpoint by endpoint: to group a range of time, SQLite sorts it, which takes five times as long.
  netByEndpoint: table =>
    `SELECT endpoint_id, (SELECT SUM(opened - closed) FROM ${table} AS r WHERE r.endpoint_id = c.endpoint_id AND start_at >= ? AND start_at < ?) AS net FROM endpoint_connections_v2 AS c`,
  forUpdate: '',
  onConflict(key, set, add, raise = []) {
    const changes = [
      ...set.map(column => `${column} = excluded.${column}`),
      ...add.map(column => `${column} = ${column} + excluded.${column}`),
      ...raise.map(column => `${column} = MAX(${column}, excluded.${column})`)
    ]
    const action = changes.length > 0 ? `UPDATE SET ${changes.join(', ')}` : 'NOTHING'
    return `ON CONFLICT (${key.join(', ')}) DO ${action}`
  }
}

/**
 * A database file; it and its directory are made where they do not exist. It is opened by the first transaction, and again
 * where another file has taken its place. It blocks its thread while a statement runs, so it belongs in a worker thread.
 * Commits outlive the process, but the last ones may not outlive a power cut (WAL, synchronous = NORMAL). Its methods throw
 * `DatabaseFileError` and the errors of libsql. `mayMake` false: a file that does not exist is not made.
 */
export function openSqlite(path: string, mayMake = true): Database {
  const setUp = [
    `PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`,
    ...SHRINKABLE,
    SECURE,
    'PRAGMA journal_mode = WAL',
    'PRAGMA synchronous = NORMAL'
  ]
  const file = new WatchedFile(path, setUp, mayMake)

  const prepared = new Map<string, Libsql.Statement>()
  let preparedOn: Libsql.Database | undefined
  const connect = (): Libsql.Database => {
    const connection = file.connection()
    if (connection !== preparedOn) prepared.clear()
    return (preparedOn = connection)
  }
  const prepare = (text: string): Libsql.Statement => {
    let statement = prepared.get(text)
    if (!statement) {
      if (prepared.size >= MAX_PREPARED_STATEMENTS) prepared.clear()
      prepared.set(text, (statement = preparedOn!.prepare(text)))
    }
    return statement
  }
  const sql: Sql = {
    dialect: sqliteDialect,
    all: (text, params = []) => Promise.resolve(prepare(text).all([...params]) as Row[]),
    run: (text, params: readonly Param[] = []) => {
      prepare(text).run([...params])
      return Promise.resolve()
    }
  }

  // A connection holds one transaction at a time, so they run one after the other.
  let last: Promise<unknown> = Promise.resolve()
  const transaction = <T>(
    begin: string,
    work: (sql: Sql, connection: Libsql.Database) => Promise<T>
  ): Promise<T> => {
    const result = last.then(async () => {
      const connection = connect()
      connection.exec(begin)
      try {
        const value = await work(sql, connection)
        connection.exec('COMMIT')
        return value
      } catch (error) {
        if (connection.inTransaction) connection.exec('ROLLBACK')
        throw error
      }
    })
    last = result.catch(() => undefined)
    return result
  }

  return {
    async write(work) {
      const value = await transaction('BEGIN IMMEDIATE', work)
      giveBackSpace(preparedOn!, MAX_PAGES_GIVEN_BACK)
      return value
    },
    read: work => transaction('BEGIN', work),
    // Each transaction looks whether the file is still there.
    probe: () => Promise.resolve(),
    async scrub() {
      await last
      overwriteLog(connect())
    },
    isUpToDate: () => transaction('BEGIN', (_sql, connection) => isUpToDate(schemaEditor(connection))),
    async migrate() {
      await last
      letShrink(connect())
      await transaction('BEGIN IMMEDIATE', (sql, connection) =>
        upgradeSchema({ ...schemaEditor(connection), write: work => work(sql) })
      )
    },
    close: async () => {
      await last
      file.close()
    }
  }
}
