// Owns bulk writing into an empty store: SQLite in one transaction, MySQL without its secondary indexes until all is in.
import { createConnection, type RowDataPacket } from 'mysql2/promise'
import { openMysql } from '../../../src/ledger/mysql/mysql-database.js'
import type { Database, Sql } from '../../../src/ledger/sql/sql-database.js'
import { sqlStore } from '../../../src/ledger/sql/sql-store.js'
import { openSqlite } from '../../../src/ledger/sqlite/sqlite-database.js'
import { embeddedStore } from '../../../src/ledger/sqlite/sqlite-store.js'
import type { Store } from '../../../src/ledger/store-port.js'
import { DAY_MS } from '../../../src/util/time.js'

/** The tables that grow with the history. */
const BIG_TABLES = ['endpoint_logs_v2', 'endpoint_minutes_v2']
const SQLITE_CACHE_KIB = 3_000_000
/** Longer than any history: idle sessions are looked for, and none is found. */
const IDLE_TIMEOUT_MS = 3_650 * DAY_MS

/** One transaction, or a part of one. */
export type Write = (work: (sql: Sql) => Promise<void>) => Promise<void>

export const isSqlite = (store: string): boolean => store.startsWith('sqlite:')
const sqlitePath = (store: string): string => store.slice('sqlite:'.length)

/** As the product opens it: the embedded store in its worker threads. */
export const storeAt = (store: string): Store =>
  isSqlite(store)
    ? embeddedStore(sqlitePath(store), { idleTimeoutMs: IDLE_TIMEOUT_MS })
    : sqlStore(openMysql(store), { idleTimeoutMs: IDLE_TIMEOUT_MS })

export const openDatabase = (store: string): Database =>
  isSqlite(store) ? openSqlite(sqlitePath(store)) : openMysql(store)

/** Runs `work` with the secondary indexes of the big tables away; they are built once it is done. */
export async function inBulk(
  store: string,
  db: Database,
  work: (write: Write) => Promise<void>
): Promise<void> {
  if (!isSqlite(store)) {
    const rebuild = await dropMysqlIndexes(store)
    await work(part => db.write(part))
    return await rebuild()
  }
  await db.write(async sql => {
    await sql.all(`PRAGMA cache_size = -${SQLITE_CACHE_KIB}`)
    const rebuild = await dropSqliteIndexes(sql)
    await work(part => part(sql))
    await rebuild()
  })
}

/** Answers what builds them again. */
async function dropSqliteIndexes(sql: Sql): Promise<() => Promise<void>> {
  const indexes = await sql.all(
    `SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN (${BIG_TABLES.map(name => `'${name}'`).join()})`
  )
  for (const { name } of indexes) await sql.run(`DROP INDEX ${name}`)
  return async () => {
    for (const index of indexes) await sql.run(String(index.sql))
  }
}

/** With a connection of its own: an index of ten million rows takes longer than the product lets a statement take. */
async function dropMysqlIndexes(url: string): Promise<() => Promise<void>> {
  const connection = await createConnection(url)
  const keysOf = new Map<string, string[]>()
  const alter = async (how: (key: string) => string): Promise<void> => {
    for (const [table, keys] of keysOf)
      await connection.query(`ALTER TABLE ${table} ${keys.map(how).join(', ')}`)
  }
  for (const table of BIG_TABLES) {
    const [[row]] = await connection.query<RowDataPacket[]>(`SHOW CREATE TABLE ${table}`)
    const lines = String(row!['Create Table']).split('\n')
    keysOf.set(
      table,
      lines.map(line => line.trim().replace(/,$/, '')).filter(line => /^(UNIQUE )?KEY/.test(line))
    )
  }
  await alter(key => `DROP KEY ${/`\w+`/.exec(key)![0]}`)
  return async () => {
    await alter(key => `ADD ${key}`)
    await connection.query(`ANALYZE TABLE ${BIG_TABLES.join(', ')}`)
    await connection.end()
  }
}
