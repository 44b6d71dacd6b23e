// Owns the shape of the tables: schema.sql is read line by line; each line of a table is one column or one key.
import { readFileSync } from 'node:fs'

const SCHEMA_FILE = new URL('../../../../../schema.sql', import.meta.url)

/** A column of schema.sql. */
export interface Column {
  name: string
  /** Such as `VARCHAR(255)`. */
  type: string
  nullable: boolean
  /** SQL of its default value. */
  default: string | undefined
  /** Undefined: that of the database. */
  collation: string | undefined
  /** The whole line, as MySQL understands it. */
  definition: string
}

/** A key of schema.sql other than the primary one. */
export interface Key {
  name: string
  unique: boolean
  columns: readonly string[]
}

/** A table of schema.sql. */
export interface Table {
  name: string
  columns: readonly Column[]
  primaryKey: readonly string[]
  keys: readonly Key[]
}

/** The tables of schema.sql, in its order. Throws what `readFileSync` throws. */
export function readSchema(): Table[] {
  const text = readFileSync(SCHEMA_FILE, 'utf8')
  return Array.from(
    text.matchAll(/^CREATE TABLE IF NOT EXISTS (\w+) \(\n(.*?)\n\) ENGINE = InnoDB;$/gms),
    ([, name, body]) => readTable(name!, body!.split('\n'))
  )
}

function readTable(name: string, lines: readonly string[]): Table {
  const columns: Column[] = []
  const keys: Key[] = []
  let primaryKey: string[] = []
  for (const line of lines) {
    const definition = line.trim().replace(/,$/, '')
    const [, kind, keyName, list] = /^(PRIMARY |UNIQUE )?KEY (\w+)? ?\((.+)\)$/.exec(definition) ?? []
    if (list === undefined) columns.push(readColumn(definition))
    else if (kind === 'PRIMARY ') primaryKey = list.split(', ')
    else keys.push({ name: keyName!, unique: kind === 'UNIQUE ', columns: list.split(', ') })
  }
  return { name, columns, primaryKey, keys }
}

function readColumn(definition: string): Column {
  const [, name, type, rest] = /^(\w+) ([A-Z]+(?:\(\d+\))?)(.*)$/.exec(definition)!
  return {
    name: name!,
    type: type!,
    nullable: !rest!.includes(' NOT NULL'),
    default: / DEFAULT (\S+)/.exec(rest!)?.[1],
    collation: / COLLATE (\w+)/.exec(rest!)?.[1],
    definition
  }
}
