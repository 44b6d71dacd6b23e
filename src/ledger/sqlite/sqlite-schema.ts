// Owns the SQLite side of the schema: the tables of schema.sql, with times as epoch milliseconds.
import type Libsql from 'libsql'
import type { Column, Key, Table } from '../sql/schema/declared-schema.js'
import type { FoundTable, SchemaEditor } from '../sql/schema/schema-upgrade.js'

/**
 * Reads and changes the tables within the caller's transaction: an upgrade that is cut short leaves no trace, so no table
 * is ever found unfinished.
 */
export function schemaEditor(connection: Libsql.Database): Pick<SchemaEditor, 'find' | 'create' | 'alter'> {
  const pragma = (name: string, of: string) =>
    connection.prepare(`PRAGMA ${name}(${of})`).all() as Record<string, string | number>[]
  const find = (table: string): FoundTable => ({
    columns: new Set(pragma('table_info', table).map(column => String(column.name))),
    reshape: [],
    refill: false,
    keys: pragma('index_list', table).map(index => ({
      name: String(index.name),
      unique: index.unique === 1,
      columns: pragma('index_info', String(index.name)).map(column => String(column.name))
    })),
    isUnfinished: false
  })
  return {
    find(tables) {
      const found = tables.map(({ name }) => [name, find(name)] as const)
      return Promise.resolve(new Map(found.filter(([, { columns }]) => columns.size > 0)))
    },
    create(table) {
      connection.exec(tableSql(table))
      for (const key of table.keys.filter(({ unique }) => !unique)) connection.exec(indexSql(table, key))
      return Promise.resolve()
    },
    alter(table, { add = [], dropKeys = [], addKeys = [] }) {
      for (const { column, asNull } of add)
        connection.exec(`ALTER TABLE ${table.name} ADD COLUMN ${columnSql(column, asNull)}`)
      for (const key of dropKeys) connection.exec(`DROP INDEX ${key}`)
      for (const key of addKeys) connection.exec(indexSql(table, key))
      return Promise.resolve()
    }
  }
}

function tableSql({ name, columns, primaryKey, keys }: Table): string {
  const isNumbered = columns.some(isAutoIncrement)
  const lines = columns.map(column =>
    isAutoIncrement(column) ? `${column.name} INTEGER PRIMARY KEY AUTOINCREMENT` : columnSql(column)
  )
  if (!isNumbered) lines.push(`PRIMARY KEY (${primaryKey.join(', ')})`)
  for (const key of keys.filter(({ unique }) => unique)) lines.push(`UNIQUE (${key.columns.join(', ')})`)
  return `CREATE TABLE ${name} (${lines.join(', ')})${isNumbered ? '' : ' WITHOUT ROWID'}`
}

const isAutoIncrement = ({ definition }: Column): boolean => definition.endsWith(' AUTO_INCREMENT')

function columnSql({ name, type, nullable, default: value }: Column, asNull = false): string {
  const affinity = /INT|DATETIME/.test(type) ? 'INTEGER' : 'TEXT'
  return `${name} ${affinity}${nullable || asNull ? '' : ' NOT NULL'}${value === undefined ? '' : ` DEFAULT ${value}`}`
}

const indexSql = ({ name: table }: Table, { name, unique, columns }: Key): string =>
  `CREATE ${unique ? 'UNIQUE ' : ''}INDEX ${name} ON ${table} (${columns.join(', ')})`
