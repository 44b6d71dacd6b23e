// Owns bulk writing into an empty store: SQLite in one transaction, MySQL without its secondary indexes until all is in.
import { mysqlDialect, openMysql } from '../../../src/ledger/mysql/mysql-database.js'
import type { Database, Dialect, Sql } from '../../../src/ledger/sql/sql-database.js'
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

export const dialectOf = (db: Database): Promise<Dialect> => db.read(sql => Promise.resolve(sql.dialect))

/** Runs `work` with the secondary indexes of the big tables away; they are built once it is done. */
export async function inBulk(db: Database, work: (write: Write) => Promise<void>): Promise<void> {
  if ((await dialectOf(db)) === mysqlDialect) {
    const write: Write = part => db.write(part)
    const rebuild = await dropMysqlIndexes(write)
    await work(write)
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

async function dropMysqlIndexes(write: Write): Promise<() => Promise<void>> {
  const keysOf = new Map<string, string[]>()
  const alter = async (how: (key: string) => string): Promise<void> => {
    for (const [table, keys] of keysOf)
      await write(sql => sql.run(`ALTER TABLE ${table} ${keys.map(how).join(', ')}`))
  }
  await write(async sql => {
    for (const table of BIG_TABLES) {
      const [row] = await sql.all(`SHOW CREATE TABLE ${table}`)
      const lines = String(row!['Create Table']).split('\n')
      keysOf.set(
        table,
        lines.map(line => line.trim().replace(/,$/, '')).filter(line => /^(UNIQUE )?KEY/.test(line))
      )
    }
  })
  await alter(key => `DROP KEY ${/`\w+`/.exec(key)![0]}`)
  return async () => {
    await alter(key => `ADD ${key}`)
    await write(async sql => {
      await sql.all(`ANALYZE TABLE ${BIG_TABLES.join(', ')}`)
    })
  }
}
