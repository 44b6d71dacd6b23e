// Owns the copy of a store into another database, both ways: all rows arrive, and a target that is not empty is left as it is.
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openMysql } from '../../src/ledger/mysql/mysql-database.js'
import { copyTables } from '../../src/ledger/sql/copy-tables.js'
import { readSchema } from '../../src/ledger/sql/schema/declared-schema.js'
import type { Database, Param, Sql } from '../../src/ledger/sql/sql-database.js'
import { insertMany } from '../../src/ledger/sql/statements.js'
import { openSqlite } from '../../src/ledger/sqlite/sqlite-database.js'
import { freshDatabase, startDatabase } from '../support/mariadb.js'

const NOON = Date.UTC(2026, 9, 1, 12, 0, 0, 7)
/** More than two pages. */
const ROWS = 2_500

const server = await startDatabase()
t.teardown(() => server.stop())

/** Rows for every table, with the widest values that each column has; other columns than the keys are NULL in turn. */
async function fill(sql: Sql): Promise<number> {
  let total = 0
  for (const { name, columns, primaryKey, keys } of readSchema()) {
    const unique = new Set([...primaryKey, ...keys.filter(key => key.unique).flatMap(key => key.columns)])
    const rows = Array.from({ length: name === 'turnstile_feed_head' ? 1 : ROWS }, (_, i) =>
      columns.map((column): Param => {
        if (column.nullable && i % 2 === 1) return null
        if (column.type.startsWith('DATETIME')) return sql.dialect.time(NOON + i * 60_001)
        if (column.type === 'TINYINT') return unique.has(column.name) ? (i % 100) + 1 : i % 3
        if (column.type.startsWith('BIGINT')) return Number.MAX_SAFE_INTEGER - ROWS + i
        if (column.type.startsWith('INT')) return i
        const width = Number(/\d+/.exec(column.type)![0])
        const text = column.definition.includes('utf8mb4') ? '知识库 😀 ' : 'abc'
        const letters = Array.from(String(i).padStart(5, '0') + text.repeat(width))
        return letters.slice(0, Math.min(width, 40)).join('').trimEnd()
      })
    )
    const distinct = name === 'turnstile_horizon' ? rows.slice(0, 2) : rows
    await insertMany(
      sql,
      name,
      columns.map(column => column.name),
      distinct,
      ''
    )
    total += distinct.length
  }
  return total
}

/** All rows of all tables, as text. */
async function contents(db: Database): Promise<string> {
  return await db.read(async sql => {
    const tables: unknown[] = []
    for (const { name, columns, primaryKey } of readSchema()) {
      const list = columns
        .map(({ name, type }) =>
          type.startsWith('DATETIME') ? `${sql.dialect.epochMs(name)} AS ${name}` : name
        )
        .join(', ')
      tables.push(name, await sql.all(`SELECT ${list} FROM ${name} ORDER BY ${primaryKey.join(', ')}`))
    }
    return JSON.stringify(tables)
  })
}

const sqlite = (t: Test) => Promise.resolve(openSqlite(join(t.testdir(), 'ledger.db')))
const mysql = async () => openMysql(await freshDatabase(server.url), { silenceS: 600 })

for (const [name, openSource, openTarget] of [
  ['SQLite to MySQL', sqlite, mysql],
  ['MySQL to SQLite', mysql, sqlite]
] as const) {
  void t.test(name, async t => {
    const [source, target] = [await openSource(t), await openTarget(t)]
    t.teardown(() => Promise.all([source.close(), target.close()]))
    await source.migrate()
    await target.migrate()
    const written = await source.write(fill)

    await t.test('a copy that is cut short leaves nothing behind', async t => {
      const failing: Pick<Database, 'write'> = {
        write: work =>
          target.write(sql =>
            work({
              ...sql,
              all: (text, params) =>
                text.includes('FROM turnstile_feed ') && text.includes('seq,')
                  ? Promise.reject(new Error('cut short'))
                  : sql.all(text, params)
            })
          )
      }
      await t.rejects(copyTables(source, failing), { message: 'cut short' })
      await target.read(async sql => {
        for (const { name } of readSchema())
          t.same(await sql.all(`SELECT 1 AS found FROM ${name} LIMIT 1`), [], name)
      })
    })

    await t.test('a value that arrives as another one is noticed, and nothing is copied', async t => {
      const bending: Pick<Database, 'write'> = {
        write: work =>
          target.write(sql =>
            work({
              ...sql,
              run: (text, params = []) =>
                sql.run(text, text.includes('endpoint_days_v2') ? params.map(p => (p === 7 ? 8 : p)) : params)
            })
          )
      }
      await t.rejects(copyTables(source, bending), { code: 'ROWS_DIFFER' })
    })

    await t.test('all rows of all tables arrive', async t => {
      const sums = await copyTables(source, target)
      t.equal(
        sums.reduce((sum, { rows }) => sum + rows, 0),
        written
      )
      t.equal(await contents(target), await contents(source))
    })

    await t.test('a target that has rows is refused and left as it is', async t => {
      const before = await contents(target)
      await t.rejects(copyTables(source, target), { code: 'TARGET_NOT_EMPTY' })
      t.equal(await contents(target), before)
    })
  })
}
