// Owns statements over many items: lists of placeholders and rows, in sizes that can be prepared once and kept.
import type { Param, Sql } from './sql-database.js'

/**
 * Cuts a list into runs of 256, 64, 16, 4 or 1, so that the texts of statements with a placeholder for each item stay few
 * enough to be prepared once and kept. The lengths were chosen: 256 rows of the widest table (35 columns) stay far below
 * the 32,766 parameters of SQLite and the 65,535 of MySQL.
 */
export function* runs<T>(items: readonly T[]): Generator<T[]> {
  let from = 0
  for (const length of [256, 64, 16, 4, 1]) {
    for (; items.length - from >= length; from += length) yield items.slice(from, from + length)
  }
}

/** `?,?,?`: the placeholders of an IN list. */
export const marks = (count: number): string => Array<string>(count).fill('?').join(',')

/**
 * `LIMIT 100`. The number stands in the text: TiDB takes only integers for a `?` here, and mysql2 binds none. Throws
 * `RangeError`.
 */
export function limitTo(rows: number): string {
  if (!Number.isSafeInteger(rows) || rows < 0) throw new RangeError(`LIMIT ${rows}`)
  return `LIMIT ${rows}`
}

/** Inserts rows; `onConflict` (from the dialect) ends each statement: it says what happens to rows that exist already. */
export async function insertMany(
  sql: Sql,
  table: string,
  columns: readonly string[],
  rows: readonly (readonly Param[])[],
  onConflict: string
): Promise<void> {
  const row = `(${marks(columns.length)})`
  for (const run of runs(rows)) {
    const values = Array<string>(run.length).fill(row).join(',')
    await sql.run(`INSERT INTO ${table} (${columns.join(',')}) VALUES ${values} ${onConflict}`, run.flat())
  }
}
