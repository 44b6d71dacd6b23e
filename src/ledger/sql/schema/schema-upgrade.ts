// Owns the upgrade of whatever tables are found to those of schema.sql: what is missing is added, no row is lost.
// To change the schema, change schema.sql: a new column needs NULL, a DEFAULT, or an entry in `fills` here.
import type { StoredId } from '../../../mcp/stored-ids.js'
import { epochNow } from '../../../util/time.js'
import { classReachMs, closedClasses, LONGEST_CLASS, OPEN_CLASS } from '../../model/rollup.js'
import type { Database, Dialect } from '../sql-database.js'
import { repair } from '../write/check.js'
import { type Column, type Key, readSchema, type Table } from './declared-schema.js'

/** Rows filled in one transaction, by their ids: chosen so that a big table is not locked at once. */
const BATCH_IDS = 10_000
const SESSIONS = 'endpoint_logs_v2'
/** Tables that can be computed again from the sessions. */
const DERIVED = ['endpoint_connections_v2', 'endpoint_minutes_v2', 'endpoint_days_v2']

/** SQL: whether an old row has an end that is final, not presumed. */
const IS_FINAL = "disconnect_at > connect_at AND COALESCE(reason, 'gone') NOT IN ('idle', 'lost')"

/** SQL of what old sessions get in columns that were added later. */
const fills: Record<string, (dialect: Dialect) => string> = {
  reason: () => "CASE WHEN disconnect_at > connect_at THEN 'gone' END",
  duration_class: classOfRow,
  last_seen_at: () => 'disconnect_at',
  request_count: () => '0',
  client_address: () => "''",
  closed_at: () => `CASE WHEN ${IS_FINAL} THEN disconnect_at END`,
  closed_by: () => `CASE WHEN ${IS_FINAL} THEN COALESCE(reason, 'gone') END`
}

/** A table as it is found in a database. */
export interface FoundTable {
  columns: ReadonlySet<string>
  /** Columns that are too narrow for what schema.sql allows there. */
  narrow: ReadonlySet<string>
  keys: readonly Key[]
  /** An upgrade was cut short: its rows are not right yet. */
  isUnfinished: boolean
}

/** Changes of one table, made at once. */
export interface Alteration {
  /** `asNull`: allows NULL whatever schema.sql declares, until the column is filled. */
  add?: readonly { column: Column; asNull: boolean }[]
  /** Columns that become what schema.sql declares. */
  modify?: readonly Column[]
  dropKeys?: readonly string[]
  addKeys?: readonly Key[]
  /** Sets or clears the mark that `FoundTable.isUnfinished` reads; it stays as it was if not given. */
  unfinished?: boolean
}

/** How the tables of a database are read and changed. */
export interface SchemaEditor extends Pick<Database, 'write'> {
  find(tables: readonly Table[]): Promise<Map<string, FoundTable>>
  create(table: Table, unfinished: boolean): Promise<void>
  alter(table: Table, alteration: Alteration): Promise<void>
}

/**
 * Brings the tables up to date. The caller sees to it that only one process does so at a time. If it is cut short at any
 * point, the next run goes on from there. Throws what the database throws.
 */
export async function upgradeSchema(editor: SchemaEditor): Promise<void> {
  const tables = readSchema()
  const found = await editor.find(tables)
  const unfinished = new Set<Table>()
  for (const table of tables) {
    const before = found.get(table.name)
    const missing = table.columns.filter(({ name }) => !before?.columns.has(name))
    const isWrong = missing.some(column => isDerived(table) || isFilled(table, column))
    const toFinish = before?.isUnfinished === true || (isWrong && found.has(SESSIONS))
    if (toFinish) unfinished.add(table)
    if (!before) {
      await editor.create(table, toFinish)
      continue
    }
    const add = missing.map(column => ({ column, asNull: isFilled(table, column) }))
    const modify = table.columns.filter(({ name }) => before.narrow.has(name))
    if (add.length + modify.length > 0)
      await editor.alter(table, { add, modify, ...(toFinish && { unfinished: true }) })
  }
  for (const table of tables) {
    const keys = found.get(table.name)?.keys ?? table.keys
    const addKeys = table.keys.filter(key => !keys.some(other => isSame(key, other)))
    const dropKeys = addKeys.map(({ name }) => name).filter(name => keys.some(other => other.name === name))
    const toFill = unfinished.has(table) && table.name === SESSIONS
    if (toFill) await fillSessions(editor)
    const modify = toFill ? table.columns.filter(column => isFilled(table, column)) : []
    if (modify.length + addKeys.length > 0)
      await editor.alter(table, { modify, dropKeys, addKeys, ...(toFill && { unfinished: false }) })
  }
  const derived = [...unfinished].filter(isDerived)
  if (derived.length > 0) await computeAgain(editor)
  for (const table of derived) await editor.alter(table, { unfinished: false })
}

const isDerived = ({ name }: Table): boolean => DERIVED.includes(name)

const isFilled = (table: Table, { name }: Column): boolean => table.name === SESSIONS && name in fills

const isSame = (key: Key, other: Key): boolean =>
  key.unique === other.unique && key.columns.join() === other.columns.join()

async function fillSessions({ write }: SchemaEditor): Promise<void> {
  for (let [from, last] = [0, 1]; from < last; from += BATCH_IDS) {
    last = await write(async sql => {
      const assignments = Object.entries(fills).map(
        ([name, fill]) => `${name} = COALESCE(${name}, ${fill(sql.dialect)})`
      )
      const statement = `UPDATE ${SESSIONS} SET ${assignments.join(', ')} WHERE id > ? AND id <= ?`
      await sql.run(statement, [from, from + BATCH_IDS])
      const [row] = await sql.all(`SELECT MAX(id) AS last FROM ${SESSIONS}`)
      return Number(row!.last)
    })
  }
}

/** Computes counts and roll-ups from the sessions, endpoint by endpoint. */
async function computeAgain(editor: SchemaEditor): Promise<void> {
  const rows = await editor.write(sql => sql.all(`SELECT DISTINCT endpoint_id FROM ${SESSIONS}`))
  for (const row of rows) await repair(editor, [row.endpoint_id as StoredId], epochNow())
}

/** SQL of `durationClass`. */
function classOfRow({ epochMs }: Dialect): string {
  const length = `${epochMs('disconnect_at')} - ${epochMs('connect_at')}`
  const cases = closedClasses.map(c => `WHEN ${length} < ${classReachMs(c)} THEN ${c}`)
  return `CASE WHEN disconnect_at = connect_at THEN ${OPEN_CLASS} ${cases.join(' ')} ELSE ${LONGEST_CLASS} END`
}
