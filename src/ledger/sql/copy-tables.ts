// Owns the copy of a whole store into an empty one, over either database: every row of our tables, compared afterwards.
import { createHash } from 'node:crypto'
import { TurnstileError } from '../../util/errors.js'
import { type Column, readSchema, type Table } from './schema/declared-schema.js'
import type { Database, Param, Row, Sql } from './sql-database.js'
import { insertMany, limitTo } from './statements.js'

/** Rows read and written at a time. Chosen: memory must not grow with the history. */
const PAGE_ROWS = 1_024

/** Why nothing was copied. */
export type CopyErrorCode = 'SOURCE_IN_USE' | 'TARGET_NOT_EMPTY' | 'ROWS_DIFFER'

/** Nothing was copied, and the message says why. */
export class CopyError extends TurnstileError {
  readonly code: CopyErrorCode

  constructor(code: CopyErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

/** What is in a table: how many rows, and a checksum of all their columns, in hexadecimal, that depends on no order. */
export interface TableSum {
  table: string
  rows: number
  checksum: string
}

/**
 * Copies all tables of schema.sql in one transaction, of one moment of the source: it is done as a whole or not at all. Both
 * databases must have been migrated. What was written is read again and compared before the commit. Resolves with what was
 * copied, in the order of schema.sql. Throws `CopyError` and what the databases throw.
 */
export async function copyTables(
  from: Pick<Database, 'read'>,
  to: Pick<Database, 'write'>
): Promise<TableSum[]> {
  return await from.read(source =>
    to.write(async target => {
      const tables = readSchema()
      for (const { name } of tables) {
        const rows = await target.all(`SELECT 1 AS found FROM ${name} ${limitTo(1)}`)
        if (rows.length > 0)
          throw new CopyError(
            'TARGET_NOT_EMPTY',
            `the target has rows already, in ${name}: give an empty one`
          )
      }
      const sums: TableSum[] = []
      for (const table of tables) {
        const copied = await sumOf(table, copyRows(table, source, target))
        const written = await sumOf(table, pagesOf(table, target))
        if (copied.rows !== written.rows || copied.checksum !== written.checksum)
          throw new CopyError(
            'ROWS_DIFFER',
            `${table.name} does not hold what was written: ${written.rows} rows of ${copied.rows}, checksum ${written.checksum} instead of ${copied.checksum}`
          )
        sums.push(copied)
      }
      return sums
    })
  )
}

async function* copyRows(table: Table, source: Sql, target: Sql): AsyncGenerator<Row[]> {
  const names = table.columns.map(({ name }) => name)
  for await (const page of pagesOf(table, source)) {
    const values = page.map(row => table.columns.map(column => bound(target, column, row[column.name]!)))
    await insertMany(target, table.name, names, values, '')
    yield page
  }
}

/** The rows of a table in the order of its primary key, some at a time. */
async function* pagesOf(table: Table, sql: Sql): AsyncGenerator<Row[]> {
  const { name, columns, primaryKey } = table
  // Databases tell columns whose name ends in `_at` as epoch milliseconds, and other times as they keep them.
  const told = columns.map(column =>
    isTime(column) && !column.name.endsWith('_at')
      ? `${sql.dialect.epochMs(column.name)} AS ${column.name}`
      : column.name
  )
  const select = `SELECT ${told.join(', ')} FROM ${name}`
  const order = `ORDER BY ${primaryKey.join(', ')} ${limitTo(PAGE_ROWS)}`
  const [first] = primaryKey as [string]
  // MySQL makes no range of a comparison of rows, but does of its first column.
  const after = primaryKey.map((last, i) => {
    const equal = primaryKey.slice(0, i).map(column => `${column} = ?`)
    return `(${[...equal, `${last} > ?`].join(' AND ')})`
  })
  const where = `WHERE ${first} >= ? AND (${after.join(' OR ')})`
  let page = await sql.all(`${select} ${order}`)
  while (page.length > 0) {
    yield page
    if (page.length < PAGE_ROWS) return
    const key = primaryKey.map(part =>
      bound(
        sql,
        columns.find(column => column.name === part)!,
        page.at(-1)![part]!
      )
    )
    page = await sql.all(`${select} ${where} ${order}`, [
      key[0]!,
      ...primaryKey.flatMap((_, i) => key.slice(0, i + 1))
    ])
  }
}

const isTime = ({ type }: Column): boolean => type.startsWith('DATETIME')

/** A value of a row as it is bound in this database. */
const bound = (sql: Sql, column: Column, value: Param): Param =>
  typeof value === 'number' && isTime(column) ? sql.dialect.time(value) : value

async function sumOf({ name, columns }: Table, pages: AsyncIterable<Row[]>): Promise<TableSum> {
  const sum = Buffer.alloc(32)
  let rows = 0
  for await (const page of pages) {
    rows += page.length
    for (const row of page) {
      const text = JSON.stringify(columns.map(column => row[column.name]))
      const hash = createHash('sha256').update(text).digest()
      for (let i = 0; i < sum.length; i++) sum[i]! ^= hash[i]!
    }
  }
  return { table: name, rows, checksum: sum.toString('hex').slice(0, 16) }
}
