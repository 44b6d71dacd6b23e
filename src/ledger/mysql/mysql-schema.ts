// Owns the MySQL side of the schema: reading the tables from information_schema, and the statements that change them.
import type { Column, Key, Table } from '../sql/schema/declared-schema.js'
import type { FoundTable, SchemaEditor } from '../sql/schema/schema-upgrade.js'
import type { Param, Row } from '../sql/sql-database.js'
import { marks } from '../sql/statements.js'
import { UnusableStoreError } from '../store-port.js'
import {
  type FoundConstraint,
  type FoundShape,
  isNumber,
  isNumbered,
  planTable,
  quoted,
  type TablePlan
} from './mysql-table-plan.js'
import { alterInSteps, isTidb } from './mysql-tidb.js'

/** The comment of a table whose upgrade is under way, or was cut short. */
const UNFINISHED = 'An upgrade is under way.'

/** Ids above 2^53 - 1 are not exact in JavaScript. */
const IDS_ARE_USABLE =
  'COUNT(*) = COUNT(DISTINCT id) AND COALESCE(MIN(id), 1) >= 1 AND COALESCE(MAX(id), 1) < 9007199254740992'

/**
 * Makes the session ids of one endpoint different, where several rows have the same: one that is open keeps it, else the
 * latest, and the others get the number of their row.
 */
const SEPARATE_DUPLICATES = `UPDATE endpoint_logs_v2 SET session_id = CONCAT(LEFT(session_id, 230), '#', id) WHERE id IN (
  SELECT id FROM (
    SELECT id, ROW_NUMBER() OVER (
      PARTITION BY session_id, endpoint_id ORDER BY (disconnect_at = connect_at) DESC, connect_at DESC, id DESC
    ) AS place FROM endpoint_logs_v2
  ) AS ranked WHERE place > 1
)`

/** Runs one statement on the connection that changes the tables. */
export type All = (text: string, params?: readonly Param[]) => Promise<Row[]>

/** Reads and changes the tables. `all` has no time limit. */
export function schemaEditor(all: All): Pick<SchemaEditor, 'find' | 'create' | 'alter'> {
  return {
    async find(tables) {
      const found = new Map<string, FoundTable>()
      const refusals: string[] = []
      for (const [table, shape, isUnfinished] of await readShapes(all, tables, await isTidb(all))) {
        const plan = planTable(table, shape)
        refusals.push(...plan.refusals)
        if (plan.refusals.length === 0) refusals.push(...(await refusedRows(all, table, plan)))
        const columns = new Set(
          shape.columns.map(({ name }) => name).concat(table.columns.filter(isNumber).map(({ name }) => name))
        )
        found.set(table.name, {
          columns,
          keys: plan.keys,
          reshape: plan.reshape,
          refill: plan.refill,
          isUnfinished
        })
      }
      if (refusals.length > 0) throw new UnusableStoreError(refusals.join('; '))
      return found
    },
    async create(table, unfinished) {
      const lines = [
        ...table.columns.map(({ definition }) => definition),
        `PRIMARY KEY (${table.primaryKey.join(', ')})`,
        ...table.keys.map(keySql)
      ]
      await all(
        `CREATE TABLE ${table.name} (${lines.join(', ')}) ENGINE = InnoDB ROW_FORMAT = DYNAMIC${unfinished ? ` ${mark(true)}` : ''}`
      )
    },
    async alter({ name }, { add = [], reshape = [], modify = [], dropKeys = [], addKeys = [], unfinished }) {
      if (name === 'endpoint_logs_v2' && addKeys.some(({ unique }) => unique)) await all(SEPARATE_DUPLICATES)
      const steps = [
        [
          ...reshape,
          ...add.map(({ column, asNull }) => `ADD COLUMN ${asNull ? nullable(column) : column.definition}`),
          ...(unfinished === true ? [mark(true)] : [])
        ],
        modify.map(({ definition }) => `MODIFY COLUMN ${definition}`),
        dropKeys.map(key => `DROP KEY ${quoted(key)}`),
        [...addKeys.map(key => `ADD ${keySql(key)}`), ...(unfinished === false ? [mark(false)] : [])]
      ]
      await alterInSteps(all, name, (await isTidb(all)) ? steps : [steps.flat()])
    }
  }
}

async function readShapes(
  all: All,
  tables: readonly Table[],
  onTidb: boolean
): Promise<[Table, FoundShape, boolean][]> {
  const names = tables.map(({ name }) => name)
  const ofSchema = (columns: string, from: string, end = '', of = 'table'): Promise<Row[]> =>
    all(
      `SELECT table_name AS tab, ${columns} FROM information_schema.${from} WHERE ${of}_schema = DATABASE() AND ${of}_name IN (${marks(names.length)}) ${end}`,
      names
    )
  const rows = await ofSchema(
    'table_type AS kind, engine AS engine, row_format AS row_format, create_options AS options, table_comment AS note',
    'tables'
  )
  if (rows.length === 0) return []
  const columns = await ofSchema(
    'column_name AS name, column_type AS type, character_set_name AS charset, collation_name AS collation, is_nullable AS nullable, column_default AS initial, extra AS extra',
    'columns',
    'ORDER BY ordinal_position'
  )
  const keys = await ofSchema(
    "index_name AS name, non_unique AS non_unique, CONCAT(LOWER(COALESCE(column_name, '')), COALESCE(CONCAT('(', sub_part, ')'), '')) AS part",
    'statistics',
    'ORDER BY seq_in_index'
  )
  const links = 'constraint_name AS name, column_name AS col, referenced_table_name AS target'
  const references = [
    ...(await ofSchema(links, 'key_column_usage', 'AND referenced_table_name IS NOT NULL')),
    ...(await ofSchema(links, 'key_column_usage', '', 'referenced_table'))
  ]
  const restrictions = await ofSchema(
    'constraint_name AS name',
    'table_constraints',
    "AND constraint_type = 'CHECK'"
  )
  const shapes: [Table, FoundShape, boolean][] = []
  for (const table of tables) {
    const own = (row: Row): boolean => row.tab === table.name
    const row = rows.find(own)
    if (!row) continue
    const isTable = row.kind === 'BASE TABLE'
    const found = columns.filter(own).map(column => ({
      name: String(column.name).toLowerCase(),
      type: String(column.type),
      charset: textOf(column.charset),
      collation: textOf(column.collation),
      nullable: column.nullable === 'YES',
      // MariaDB says NULL as a text.
      hasDefault: column.initial !== null && column.initial !== 'NULL',
      extra: String(column.extra)
    }))
    const ownKeys = keysOf(keys.filter(own))
    const isInteger =
      !isNumbered({ columns: found, keys: ownKeys }) &&
      found.some(({ name, type }) => name === 'id' && /int/i.test(type))
    const facts = `SELECT NOT EXISTS (SELECT 1 FROM ${table.name}) AS is_empty, ${isInteger ? `(SELECT ${IDS_ARE_USABLE} FROM ${table.name})` : '0'} AS has_ids`
    const [fact] = isTable ? await all(facts) : []
    shapes.push([
      table,
      {
        kind: String(row.kind),
        engine: String(row.engine),
        rowFormat: String(row.row_format),
        onTidb,
        isPartitioned: String(row.options).includes('partitioned'),
        columns: found,
        keys: ownKeys,
        constraints: [
          ...foreignKeysOf(references.filter(r => own(r) || r.target === table.name)),
          ...restrictions
            .filter(own)
            .map(r => ({ name: String(r.name), kind: 'CHECK' as const, table: table.name, columns: [] }))
        ],
        isEmpty: Number(fact?.is_empty) === 1,
        hasUsableIds: Number(fact?.has_ids) === 1
      },
      row.note === UNFINISHED
    ])
  }
  return shapes
}

const textOf = (value: Row[string] | undefined): string | null => (typeof value === 'string' ? value : null)

function keysOf(parts: readonly Row[]): Key[] {
  const keys = new Map<string, { name: string; unique: boolean; columns: string[] }>()
  for (const { name, non_unique, part } of parts) {
    const key = { name: String(name), unique: Number(non_unique) === 0, columns: [] as string[] }
    if (!keys.has(key.name)) keys.set(key.name, key)
    keys.get(key.name)!.columns.push(String(part))
  }
  return [...keys.values()]
}

function foreignKeysOf(parts: readonly Row[]): FoundConstraint[] {
  const found = new Map<string, FoundConstraint & { columns: string[] }>()
  for (const { tab, name, col } of parts) {
    const key = {
      name: String(name),
      kind: 'FOREIGN KEY' as const,
      table: String(tab),
      columns: [] as string[]
    }
    const id = `${key.table}.${key.name}`
    if (!found.has(id)) found.set(id, key)
    const { columns } = found.get(id)!
    if (!columns.includes(String(col).toLowerCase())) columns.push(String(col).toLowerCase())
  }
  return [...found.values()]
}

/** What the rows say against a plan. All is counted in one look at them. */
async function refusedRows(all: All, { name }: Table, { checks }: TablePlan): Promise<string[]> {
  if (checks.length === 0) return []
  const [counts] = await all(
    `SELECT ${checks.map(({ count }, i) => `${count} AS c${i}`).join(', ')} FROM ${name}`
  )
  return checks.filter((_, i) => Number(counts![`c${i}`]) > 0).map(({ refusal }) => refusal)
}

const mark = (unfinished: boolean): string => `COMMENT = '${unfinished ? UNFINISHED : ''}'`

const nullable = ({ definition }: Column): string => definition.replace(' NOT NULL', ' NULL')

const keySql = ({ name, unique, columns }: Key): string =>
  `${unique ? 'UNIQUE ' : ''}KEY ${name} (${columns.join(', ')})`
