// Owns the upgrade of whatever tables are found to those of schema.sql: what is missing is added, no row is lost.
// To change the schema, change schema.sql: a new column needs NULL, a DEFAULT, or an entry in `fills` here.
import type { StoredId } from '../../../mcp/stored-ids.js'
import { epochNow } from '../../../util/time.js'
import { classReachMs, closedClasses, LONGEST_CLASS, OPEN_CLASS } from '../../model/rollup.js'
import type { Database, Dialect } from '../sql-database.js'
import { repair } from '../write/check.js'
import { type Column, type Key, readSchema, type Table } from './declared-schema.js'

/** Rows filled in one transaction. Chosen: a big table is not locked at once. */
const BATCH_ROWS = 10_000
const SESSIONS = 'endpoint_logs_v2'
/** Tables that can be computed again from the sessions. */
const DERIVED = ['endpoint_connections_v2', 'endpoint_minutes_v2', 'endpoint_days_v2']

/** SQL: whether an old row has an end that is final, not presumed. */
const IS_FINAL = "disconnect_at <> connect_at AND COALESCE(reason, 'gone') NOT IN ('idle', 'lost')"

/**
 * By table, SQL of what old rows get: in columns that were added later, and where a value says less than it must. MySQL
 * assigns in this order, and each assignment sees those before it.
 */
const fills: Record<string, Record<string, (dialect: Dialect) => string>> = {
  [SESSIONS]: {
    // Of an end before its beginning this keeps what was written there.
    closed_at: () => `COALESCE(closed_at, CASE WHEN ${IS_FINAL} THEN disconnect_at END)`,
    closed_by: () =>
      `COALESCE(closed_by, CASE WHEN ${IS_FINAL} THEN COALESCE(NULLIF(reason, ''), 'gone') END)`,
    reason: () => "CASE WHEN disconnect_at <> connect_at THEN COALESCE(NULLIF(reason, ''), 'gone') END",
    disconnect_at: ({ nextMs }) =>
      `CASE WHEN disconnect_at < connect_at THEN ${nextMs('connect_at')} ELSE disconnect_at END`,
    duration_class: dialect => `COALESCE(duration_class, ${classOfRow(dialect)})`,
    last_seen_at: () => 'COALESCE(last_seen_at, disconnect_at)',
    request_count: () => 'COALESCE(request_count, 0)',
    client_address: () => "COALESCE(client_address, '')"
  },
  endpoint_connections_v2: { updated_at: ({ time }) => `COALESCE(updated_at, '${time(0)}')` }
}

/** A table as it is found in a database. */
export interface FoundTable {
  columns: ReadonlySet<string>
  /** Its keys after `reshape`. */
  keys: readonly Key[]
  /** Clauses of an ALTER TABLE that make what is there what schema.sql declares. */
  reshape: readonly string[]
  /** Whether ends and missing values of rows must be looked at, row by row. */
  refill: boolean
  /** An upgrade was cut short: its rows are not right yet. */
  isUnfinished: boolean
}

/** Changes of one table, made at once. */
export interface Alteration {
  /** `asNull`: allows NULL whatever schema.sql declares, until the column is filled. */
  add?: readonly { column: Column; asNull: boolean }[]
  /** As in `FoundTable`. */
  reshape?: readonly string[]
  /** Columns that become what schema.sql declares. */
  modify?: readonly Column[]
  dropKeys?: readonly string[]
  addKeys?: readonly Key[]
  /** Sets or clears the mark that `FoundTable.isUnfinished` reads; it stays as it was if not given. */
  unfinished?: boolean
}

/** How the tables of a database are read and changed. */
export interface SchemaEditor extends Pick<Database, 'write'> {
  /** Throws `UnusableStoreError`. */
  find(tables: readonly Table[]): Promise<Map<string, FoundTable>>
  create(table: Table, unfinished: boolean): Promise<void>
  alter(table: Table, alteration: Alteration): Promise<void>
}

/** Whether `upgradeSchema` has nothing to do. Throws what the database throws, and `UnusableStoreError`. */
export async function isUpToDate({ find }: Pick<SchemaEditor, 'find'>): Promise<boolean> {
  const tables = readSchema()
  const found = await find(tables)
  return tables.every(table => {
    const before = found.get(table.name)
    return (
      before !== undefined &&
      !before.isUnfinished &&
      before.reshape.length === 0 &&
      table.columns.every(({ name }) => before.columns.has(name)) &&
      missingKeys(table, before.keys).length === 0
    )
  })
}

/**
 * Brings the tables up to date. The caller sees to it that only one process does so at a time. If it is cut short at any
 * point, the next run goes on from there. Throws what the database throws, and `UnusableStoreError` before any change.
 */
export async function upgradeSchema(editor: SchemaEditor): Promise<void> {
  const tables = readSchema()
  const found = await editor.find(tables)
  const unfinished = new Set<Table>()
  let sessionsChange = false
  for (const table of tables) {
    const before = found.get(table.name)
    const missing = table.columns.filter(({ name }) => !before?.columns.has(name))
    const isWrong: boolean =
      missing.some(column => isDerived(table) || isFilled(table, column)) ||
      before?.refill === true ||
      (isDerived(table) && sessionsChange)
    const toFinish: boolean = before?.isUnfinished === true || (isWrong && found.has(SESSIONS))
    if (toFinish) unfinished.add(table)
    sessionsChange ||= toFinish && table.name === SESSIONS
    if (!before) {
      await editor.create(table, toFinish)
      continue
    }
    const add = missing.map(column => ({ column, asNull: isFilled(table, column) }))
    const mark = toFinish && !before.isUnfinished
    if (add.length + before.reshape.length > 0 || mark)
      await editor.alter(table, { add, reshape: before.reshape, ...(toFinish && { unfinished: true }) })
  }
  for (const table of tables) {
    const keys = found.get(table.name)?.keys ?? table.keys
    const addKeys = missingKeys(table, keys)
    const dropKeys = addKeys.map(({ name }) => name).filter(name => keys.some(other => other.name === name))
    const toFill = unfinished.has(table) && table.name in fills
    if (toFill) await fill(editor, table)
    const modify = toFill ? table.columns.filter(column => isFilled(table, column)) : []
    const isDone = toFill && !isDerived(table)
    if (modify.length + addKeys.length > 0)
      await editor.alter(table, { modify, dropKeys, addKeys, ...(isDone && { unfinished: false }) })
  }
  const derived = [...unfinished].filter(isDerived)
  if (derived.length > 0) await computeAgain(editor)
  for (const table of derived) await editor.alter(table, { unfinished: false })
}

const isDerived = ({ name }: Table): boolean => DERIVED.includes(name)

/** Whether rows get a value in this column before it becomes what schema.sql declares. */
export const isFilled = (table: Table, { name }: Column): boolean => name in (fills[table.name] ?? {})

/** The declared keys that are not among these. */
export const missingKeys = (table: Table, keys: readonly Key[]): Key[] =>
  table.keys.filter(key => !keys.some(other => isSame(key, other)))

const isSame = (key: Key, other: Key): boolean =>
  key.unique === other.unique && key.columns.join() === other.columns.join()

/** Batch by batch of what ids there are: gaps between them may be of any size. */
async function fill({ write }: SchemaEditor, { name }: Table): Promise<void> {
  for (let [from, isDone] = [0, false]; !isDone;) {
    const last = await write(async sql => {
      const [batch] = await sql.all(
        `SELECT MAX(id) AS last FROM (SELECT id FROM ${name} WHERE id > ? ORDER BY id LIMIT ${BATCH_ROWS}) AS batch`,
        [from]
      )
      const to = Number(batch?.last ?? 0)
      const update = (what: string, where = ''): Promise<void> =>
        sql.run(`UPDATE ${name} SET ${what} WHERE id > ? AND id <= ?${where}`, [from, to])
      if (name === SESSIONS)
        await update('disconnect_at = connect_at', ' AND (disconnect_at IS NULL OR disconnect_at = 0)')
      const assignments = Object.entries(fills[name]!).map(
        ([column, value]) => `${column} = ${value(sql.dialect)}`
      )
      await update(assignments.join(', '))
      return to
    })
    isDone = last === 0
    from = last
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
