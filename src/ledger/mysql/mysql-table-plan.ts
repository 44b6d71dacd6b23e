// Owns the comparison (pure) of a table that was found with the one that schema.sql declares: the clauses of the ALTER TABLE
// that makes one of the other, or what stands in its way.
import type { Column, Key, Table } from '../sql/schema/declared-schema.js'
import { isFilled, missingKeys } from '../sql/schema/schema-upgrade.js'
import {
  asNullable,
  baseType,
  type Check,
  checksOf,
  conversionFault,
  type FoundColumn,
  INTEGERS,
  isAsDeclared,
  plainType,
  refusal
} from './mysql-column-plan.js'

/** A FOREIGN KEY or CHECK, on this table or (a foreign key) of another table on this one. */
export interface FoundConstraint {
  name: string
  kind: 'FOREIGN KEY' | 'CHECK'
  /** The table that has it. */
  table: string
  /** Of a foreign key of this table: its columns. */
  columns: readonly string[]
}

/** A table as information_schema tells of it, and two facts of its rows. */
export interface FoundShape {
  /** `BASE TABLE`, `VIEW`, `SYSTEM VERSIONED`. */
  kind: string
  engine: string
  rowFormat: string
  onTidb: boolean
  isPartitioned: boolean
  columns: readonly FoundColumn[]
  /** All keys; a part of a column is `name(length)`. */
  keys: readonly Key[]
  constraints: readonly FoundConstraint[]
  isEmpty: boolean
  /** Whether `id` holds whole numbers from 1 to 2^53 - 1, each once; those are kept. */
  hasUsableIds: boolean
}

/** How a table becomes what schema.sql declares. */
export interface TablePlan {
  /** What stands in the way, each with what to do about it. */
  refusals: readonly string[]
  checks: readonly Check[]
  /** Clauses of one ALTER TABLE. */
  reshape: readonly string[]
  /** Whether ends and missing values of rows must be looked at, row by row. */
  refill: boolean
  /** The keys that are left. */
  keys: readonly Key[]
}

/** Engines whose tables are made InnoDB: they have no transactions. */
const CONVERTED_ENGINES = ['MyISAM', 'Aria', 'MEMORY', 'ARCHIVE']
/** Formats whose keys hold 767 bytes of a column (MySQL 8.0 reference manual, "InnoDB Limits"). */
const SHORT_KEY_FORMATS = ['Compact', 'Redundant']
/** Keeps ids that are no numbers. */
const OLD_ID = 'old_id'
/** Quotes a name that is not ours. */
export const quoted = (name: string): string => `\`${name.replaceAll('`', '``')}\``

/** Compares a table with its declaration. */
export function planTable(table: Table, found: FoundShape): TablePlan {
  const refusals = obstaclesOf(table, found)
  const checks: Check[] = []
  const reshape: string[] = []
  let refill = false

  if (found.engine !== 'InnoDB') reshape.push('ENGINE = InnoDB', 'ROW_FORMAT = DYNAMIC')
  const strict = found.keys.filter(key => key.unique && key.name !== 'PRIMARY' && isTooStrict(table, key))
  for (const key of strict) {
    const own = key.columns.filter(name => !isDeclared(table, name))
    if (own.length === 0) reshape.push(`DROP KEY ${quoted(key.name)}`)
    else if (!own.some(name => takesNull(found, name)))
      refusals.push(
        refusal(table, own[0]!, `has a unique key, "${key.name}", that new rows would break`, {
          sql: `DROP KEY ${quoted(key.name)}`
        })
      )
  }

  for (const column of table.columns) {
    const before = found.columns.find(({ name }) => name === column.name)
    if (isNumber(column)) {
      const change = planId(table, before, found)
      if (found.onTidb && change.length > 0)
        refusals.push(
          refusal(table, 'id', 'does not number the rows, and TiDB cannot change that', {
            advice: 'rename the table'
          })
        )
      reshape.push(...change)
      refill ||= change.length > 0
      const isTaken = found.columns.some(({ name }) => name === OLD_ID)
      if (isTaken && change.some(clause => clause.startsWith('CHANGE')))
        refusals.push(refusal(table, OLD_ID, 'is in the way of the old ids', { advice: 'rename it' }))
      continue
    }
    if (!before) {
      const isNeeded = !column.nullable && column.default === undefined && !isFilled(table, column)
      if (isNeeded && !found.isEmpty)
        refusals.push(refusal(table, column.name, 'is missing', { sql: `ADD ${column.definition}` }))
      continue
    }
    const fault = conversionFault(before, column)
    if (fault !== undefined)
      refusals.push(refusal(table, column.name, `is ${before.type}`, { advice: fault }))
    else if (!isAsDeclared(table, column, before)) {
      const filled = isFilled(table, column)
      refill ||= filled && (before.nullable !== column.nullable || column.name === 'disconnect_at')
      reshape.push(`MODIFY COLUMN ${filled && before.nullable ? asNullable(column) : column.definition}`)
      checks.push(...checksOf(table, column, before, filled))
    }
  }
  if (table.name === 'endpoint_connections_v2' && reshape.length > 0)
    checks.push({
      count: 'COUNT(*) - COUNT(DISTINCT endpoint_id)',
      refusal: refusal(table, 'endpoint_id', 'has several rows of one endpoint', {
        advice: 'rename the table, its counts are made from the sessions'
      })
    })
  const gone = new Set(strict.map(({ name }) => name))
  if (reshape.includes('DROP PRIMARY KEY')) gone.add('PRIMARY')
  const keys = found.keys.filter(({ name }) => !gone.has(name))
  // TiDB says so of all tables, and has no such formats.
  if (!found.onTidb && SHORT_KEY_FORMATS.includes(found.rowFormat) && missingKeys(table, keys).length > 0)
    reshape.push('ROW_FORMAT = DYNAMIC')
  return { refusals, checks, reshape, refill, keys }
}

/** What no ALTER TABLE of ours may take away. */
function obstaclesOf(table: Table, found: FoundShape): string[] {
  const { name } = table
  if (found.kind !== 'BASE TABLE')
    return [
      `${name} is a ${found.kind.toLowerCase()}, and no plain table: rename it, or use another database`
    ]
  const refusals: string[] = []
  if (found.isPartitioned) refusals.push(`${name} is partitioned: ALTER TABLE ${name} REMOVE PARTITIONING`)
  if (found.engine !== 'InnoDB' && !CONVERTED_ENGINES.includes(found.engine))
    refusals.push(`${name} is of the engine ${found.engine}: ALTER TABLE ${name} ENGINE = InnoDB`)
  for (const { name: key, kind, table: owner, columns } of found.constraints) {
    const isOurs =
      owner !== name ||
      (kind === 'CHECK' ? !isOfOwnColumn(found, table, key) : columns.some(c => isDeclared(table, c)))
    if (!isOurs) continue
    const of = kind === 'CHECK' ? name : `column ${columns.join(', ')} of ${owner}`
    const drop = kind === 'CHECK' ? 'CONSTRAINT' : kind
    const on = owner === name ? '' : ` on ${name}`
    refusals.push(
      `${of} has the ${kind.toLowerCase()} "${key}"${on}, which sessions would break: ALTER TABLE ${owner} DROP ${drop} ${quoted(key)}`
    )
  }
  for (const column of found.columns) {
    const declared = isDeclared(table, column.name)
    const isGenerated = /GENERATED/i.test(column.extra) && !/DEFAULT_GENERATED/i.test(column.extra)
    if (declared && isGenerated)
      refusals.push(refusal(table, column.name, 'is generated', { advice: 'rename it' }))
    if (declared || isGenerated || column.nullable || column.hasDefault) continue
    refusals.push(
      /auto_increment/i.test(column.extra)
        ? refusal(table, column.name, 'numbers the rows', {
            sql: `CHANGE ${quoted(column.name)} id ${column.type} NOT NULL AUTO_INCREMENT`
          })
        : refusal(table, column.name, 'is NOT NULL without a default, so that no row could be added', {
            sql: `MODIFY ${quoted(column.name)} ${column.type} NULL`
          })
    )
  }
  return refusals
}

/** In MariaDB a CHECK of one column, as JSON columns have it, has the name of that column. */
const isOfOwnColumn = (found: FoundShape, table: Table, check: string): boolean =>
  found.columns.some(({ name }) => name === check.toLowerCase()) && !isDeclared(table, check.toLowerCase())

const isDeclared = (table: Table, name: string): boolean =>
  table.columns.some(column => column.name === columnOf(name))

const columnOf = (part: string): string => part.replace(/\(\d+\)$/, '')

const takesNull = (found: FoundShape, name: string): boolean =>
  found.columns.some(column => column.name === columnOf(name) && column.nullable && !column.hasDefault)

/** Whether two rows that may be in the declared table can have the same values in a unique key. */
const isTooStrict = (table: Table, { columns }: Key): boolean =>
  ![table.primaryKey, ...table.keys.filter(key => key.unique).map(key => key.columns)].some(key =>
    key.every(name => columns.includes(name))
  )

/** Whether a column numbers the rows of its table. */
export const isNumber = ({ definition }: Column): boolean => definition.endsWith(' AUTO_INCREMENT')

/** Whether `id` is the number of the row already. */
export const isNumbered = ({ columns, keys }: Pick<FoundShape, 'columns' | 'keys'>): boolean =>
  hasKeyOfId(keys) &&
  columns.some(
    ({ name, type, extra }) =>
      name === 'id' && plainType(type) === 'bigint unsigned' && /auto_increment/i.test(extra)
  )

const hasKeyOfId = (keys: readonly Key[]): boolean =>
  keys.some(({ name, columns }) => name === 'PRIMARY' && columns.join() === 'id')

/** The clauses that make `id` the number of the row. Numbers are kept; whatever else it holds goes to `old_id`. */
function planId(table: Table, before: FoundColumn | undefined, found: FoundShape): string[] {
  if (isNumbered(found)) return []
  const definition = table.columns.find(isNumber)!.definition
  const drop = found.keys.some(({ name }) => name === 'PRIMARY') ? ['DROP PRIMARY KEY'] : []
  const key = [...drop, 'ADD PRIMARY KEY (id)']
  if (before && keepsIds(before, found))
    return [`MODIFY COLUMN ${definition}`, ...(hasKeyOfId(found.keys) ? [] : key)]
  if (!before) return [`ADD COLUMN ${definition} FIRST`, ...key]
  const of = before.collation === null ? '' : ` CHARACTER SET ${before.charset} COLLATE ${before.collation}`
  const indexed = /text|blob/.test(before.type) ? [] : [`ADD KEY ${OLD_ID} (${OLD_ID})`]
  return [
    `CHANGE id ${OLD_ID} ${before.type}${of} NULL`,
    `ADD COLUMN ${definition} FIRST`,
    ...key,
    ...indexed
  ]
}

const keepsIds = ({ type }: FoundColumn, found: FoundShape): boolean =>
  found.hasUsableIds && baseType(type) in INTEGERS
