// Owns opening a file as a SQLite database: what cannot be used is refused in words.
import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import Libsql from 'libsql'
import { reasonOf } from '../log.js'

/** `code`: SQLite's. */
export class DatabaseFileError extends Error {
  readonly code: string

  constructor(message: string, code: string) {
    super(message)
    this.code = code
  }
}

/** Makes the file and its directory if need be; `setUp`: statements, without which nothing shows that it is no database. */
export function openFile(path: string, setUp: readonly string[]): Libsql.Database {
  mkdirSync(dirname(path), { recursive: true })
  let connection: Libsql.Database | undefined
  try {
    connection = new Libsql(path)
    for (const statement of setUp) connection.exec(statement)
    return connection
  } catch (error) {
    connection?.close()
    const reason =
      statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
        ? 'it is a directory'
        : reasonOf(error)
    const { code = '' } = error as { code?: string }
    throw new DatabaseFileError(`${path} cannot be used as a database: ${reason}`, code)
  }
}
