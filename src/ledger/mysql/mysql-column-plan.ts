// Owns the comparison (pure) of a column that was found with the one that schema.sql declares, and of the values in it.
import type { Column, Table } from '../sql/schema/declared-schema.js'

/** A column as information_schema tells of it; names in lower case. */
export interface FoundColumn {
  name: string
  /** Such as `varchar(36)`, `bigint(20) unsigned`, `timestamp`. */
  type: string
  charset: string | null
  collation: string | null
  nullable: boolean
  hasDefault: boolean
  /** Such as `auto_increment`, `on update current_timestamp()`, `STORED GENERATED`. */
  extra: string
}

/** Rows that stand in the way of a change. */
export interface Check {
  /** SQL of how many there are, as an aggregate. */
  count: string
  /** What to say if there is one. */
  refusal: string
}

/** Chosen: a clock or a time zone may be wrong by less; further in the future, it stands for "still open". */
const FUTURE = 'UTC_TIMESTAMP() + INTERVAL 2 DAY'

/** The values of columns whose words have a meaning here, as text. */
const WORDS: Record<string, { values: readonly string[]; advice: string }> = {
  transport_type: { values: ['1', '2', '3'], advice: '1 is sse, 2 is streamable' },
  reason: {
    values: ['', 'delete', 'stream_end', 'killed', 'gone', 'idle', 'lost'],
    advice: 'rename the column if it is not of mcp-turnstile'
  }
}

/** Integer types, and their bits. */
export const INTEGERS: Record<string, number> = {
  tinyint: 8,
  smallint: 16,
  mediumint: 24,
  int: 32,
  bigint: 64
}
const TEXTS = ['char', 'varchar', 'tinytext', 'text', 'mediumtext', 'longtext', 'enum', 'uuid']
const TIMES = ['datetime', 'timestamp']

/** The name of a type, without length and sign. */
export const baseType = (type: string): string => /^\w+/.exec(type.toLowerCase())![0]

/** A type without the display width of integers. */
export const plainType = (type: string): string => type.toLowerCase().replace(/int\(\d+\)/, 'int')

const lengthOf = (type: string): number => Number(/\((\d+)/.exec(type)?.[1] ?? 0)

/** What to do about a column whose type cannot become the declared one; undefined where it can. */
export function conversionFault(found: FoundColumn, { type }: Column): string | undefined {
  const base = baseType(found.type)
  if (type.startsWith('DATETIME')) return TIMES.includes(base) ? undefined : `make it ${type}, in UTC`
  if (type.startsWith('VARCHAR'))
    return TEXTS.includes(base) || base in INTEGERS ? undefined : `make it ${type}`
  return base in INTEGERS || base === 'char' || base === 'varchar' ? undefined : `make it ${type}`
}

/** Whether a column holds whatever the declared one holds, and compares it in the same way. */
export function isAsDeclared(table: Table, column: Column, found: FoundColumn): boolean {
  if (found.nullable !== column.nullable || /on update/i.test(found.extra)) return false
  if (column.default !== undefined && !found.hasDefault) return false
  const { type, collation, definition } = column
  const base = baseType(found.type)
  if (type.startsWith('DATETIME')) return plainType(found.type) === type.toLowerCase()
  if (!type.startsWith('VARCHAR'))
    return (
      plainType(found.type) === `${type.toLowerCase()}${definition.includes(' UNSIGNED') ? ' unsigned' : ''}`
    )
  const isKey = [table.primaryKey, ...table.keys.map(key => key.columns)].some(key =>
    key.includes(column.name)
  )
  const isWide = isKey
    ? plainType(found.type) === type.toLowerCase()
    : base.endsWith('text') || (base === 'varchar' && lengthOf(found.type) >= lengthOf(type))
  const isUnicode = definition.includes('CHARACTER SET utf8mb4')
  const foundCollation = found.collation ?? ''
  if (isUnicode && !foundCollation.startsWith('utf8mb4_')) return false
  return isWide && (collation === undefined || foundCollation.endsWith('_bin'))
}

/** The rows whose values the declared column cannot hold. `filled`: missing ones are found for them. */
export function checksOf(table: Table, column: Column, found: FoundColumn, filled: boolean): Check[] {
  const { name, type, definition } = column
  const base = baseType(found.type)
  const checks: Check[] = []
  const add = (condition: string, problem: string, advice: string): void => {
    checks.push({ count: `SUM(${condition})`, refusal: refusal(table, name, problem, { advice }) })
  }
  if (found.nullable && !column.nullable && !filled)
    add(`${name} IS NULL`, 'is NULL in some rows', 'give them a value')
  const words = WORDS[name]
  if (table.name === 'endpoint_logs_v2' && words) {
    const values = words.values.map(word => `'${word}'`).join(', ')
    add(`CONCAT(${name}) NOT IN (${values})`, `has other values than ${values}`, words.advice)
  } else if (type.startsWith('VARCHAR')) {
    const length = lengthOf(type)
    add(
      `CHAR_LENGTH(${name}) > ${length}`,
      `has values of more than ${length} characters`,
      'shorten or delete those rows'
    )
    if (definition.includes('CHARACTER SET ascii'))
      add(
        `LENGTH(CONVERT(${name} USING utf8mb4)) > CHAR_LENGTH(${name})`,
        'has values that are not ASCII',
        'change or delete those rows'
      )
  } else if (type.startsWith('DATETIME')) {
    if (name !== 'disconnect_at') add(`${name} = 0`, 'has no time in some rows', 'give them a time')
    add(
      `${name} > ${FUTURE}`,
      'lies in the future in some rows',
      'an open session has disconnect_at = connect_at, in UTC'
    )
  } else {
    const bits = INTEGERS[baseType(type)]!
    const [least, most] = definition.includes(' UNSIGNED')
      ? [0n, 2n ** BigInt(bits) - 1n]
      : [-(2n ** BigInt(bits - 1)), 2n ** BigInt(bits - 1) - 1n]
    const isText = !(base in INTEGERS)
    add(
      isText ? `${name} NOT REGEXP '^[0-9]{1,9}$'` : `${name} NOT BETWEEN ${least} AND ${most}`,
      `has values that are no ${type}`,
      'change those rows'
    )
  }
  return checks
}

/** The declaration of a column that may be NULL for now. */
export const asNullable = ({ definition }: Column): string => definition.replace(' NOT NULL', ' NULL')

/** What is wrong with a column, and what to do. */
export function refusal(
  { name: table }: Table,
  column: string,
  problem: string,
  { sql, advice }: { sql?: string; advice?: string }
): string {
  return `column ${column} of ${table} ${problem}: ${sql === undefined ? advice : `ALTER TABLE ${table} ${sql}`}`
}
