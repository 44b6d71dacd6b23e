// Owns the MySQL side of the schema: reading the tables from information_schema, and the statements that change them.
import { TurnstileError } from '../../util/errors.js'
import type { Column, Key } from '../sql/schema/declared-schema.js'
import type { FoundTable, SchemaEditor } from '../sql/schema/schema-upgrade.js'
import type { Param, Row } from '../sql/sql-database.js'

/** The comment of a table whose upgrade is under way, or was cut short. */
const UNFINISHED = 'An upgrade is under way.'
/** One lock for each database. The hash keeps the name within MySQL's limit of 64 characters (GET_LOCK). */
const LOCK = "CONCAT('turnstile ', MD5(DATABASE()))"

type All = (text: string, params?: readonly Param[]) => Promise<Row[]>

/** Another instance is changing the tables; the caller tries again later. */
export class SchemaLockedError extends TurnstileError {
  readonly code = 'TURNSTILE_SCHEMA_LOCKED'
}

/**
 * Takes the lock for changing tables; no other instance gets it until the connection behind `all` ends. Throws
 * `SchemaLockedError` if another instance holds it for `waitS` seconds.
 */
export async function lockSchema(all: All, waitS: number): Promise<void> {
  const [row] = await all(`SELECT GET_LOCK(${LOCK}, ?) AS locked`, [waitS])
  if (Number(row?.locked) !== 1)
    throw new SchemaLockedError('another instance is upgrading the tables; this one waits until it is done')
}

/** Reads and changes the tables. `all` runs on the connection that holds the lock, and has no time limit. */
export function schemaEditor(all: All): Pick<SchemaEditor, 'find' | 'create' | 'alter'> {
  const ofSchema = (columns: string, from: string, end = ''): Promise<Row[]> =>
    all(
      `SELECT table_name AS tab, ${columns} FROM information_schema.${from} WHERE table_schema = DATABASE() ${end}`
    )
  return {
    async find(tables) {
      const comments = await ofSchema('table_comment AS note', 'tables')
      const columns = await ofSchema(
        'column_name AS col, column_type AS kind, collation_name AS coll',
        'columns'
      )
      const keys = await ofSchema(
        'index_name AS key_name, MIN(non_unique) AS non_unique, GROUP_CONCAT(column_name ORDER BY seq_in_index) AS cols',
        'statistics',
        'GROUP BY table_name, index_name'
      )
      const found = new Map<string, FoundTable>()
      for (const table of tables) {
        const own = (row: Row): boolean => row.tab === table.name
        const comment = comments.find(own)
        if (!comment) continue
        const types = new Map(columns.filter(own).map(row => [String(row.col), row]))
        found.set(table.name, {
          columns: new Set(types.keys()),
          narrow: new Set(
            table.columns.filter(column => isNarrow(types.get(column.name), column)).map(c => c.name)
          ),
          keys: keys.filter(own).map(row => ({
            name: String(row.key_name),
            unique: Number(row.non_unique) === 0,
            columns: String(row.cols).split(',')
          })),
          isUnfinished: comment.note === UNFINISHED
        })
      }
      return found
    },
    async create(table, unfinished) {
      const lines = [
        ...table.columns.map(({ definition }) => definition),
        `PRIMARY KEY (${table.primaryKey.join(', ')})`,
        ...table.keys.map(keySql)
      ]
      await all(
        `CREATE TABLE ${table.name} (${lines.join(', ')}) ENGINE = InnoDB${unfinished ? ` ${mark(true)}` : ''}`
      )
    },
    async alter({ name }, { add = [], modify = [], dropKeys = [], addKeys = [], unfinished }) {
      const changes = [
        ...add.map(({ column, asNull }) => `ADD COLUMN ${asNull ? nullable(column) : column.definition}`),
        ...modify.map(({ definition }) => `MODIFY COLUMN ${definition}`),
        ...dropKeys.map(key => `DROP KEY ${key}`),
        ...addKeys.map(key => `ADD ${keySql(key)}`),
        ...(unfinished === undefined ? [] : [mark(unfinished)])
      ]
      await all(`ALTER TABLE ${name} ${changes.join(', ')}`)
    }
  }
}

const mark = (unfinished: boolean): string => `COMMENT = '${unfinished ? UNFINISHED : ''}'`

const nullable = ({ definition }: Column): string => definition.replace(' NOT NULL', ' NULL')

const keySql = ({ name, unique, columns }: Key): string =>
  `${unique ? 'UNIQUE ' : ''}KEY ${name} (${columns.join(', ')})`

/** Whether a column holds shorter texts or coarser times than declared, or takes different ids for one. */
function isNarrow(found: Row | undefined, { type, collation }: Column): boolean {
  if (!found || !/^(VARCHAR|DATETIME)/.test(type)) return false
  const length = (text: string): number => Number(/\d+/.exec(text)?.[0] ?? 0)
  const isBinary = String(found.coll).endsWith('_bin') || collation === undefined
  return length(String(found.kind)) < length(type) || !isBinary
}
