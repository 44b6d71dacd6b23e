// Owns opening a file as a SQLite database: only its owner may read it, for session ids are secrets, and what cannot be
// used is refused in words.
import { accessSync, closeSync, constants, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import Libsql from 'libsql'
import { reasonOf } from '../../util/errors.js'

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
  makeDirectory(dirname(path))
  makeFile(path)
  accessSync(path, constants.R_OK | constants.W_OK)
  let connection: Libsql.Database | undefined
  try {
    connection = new Libsql(path)
    for (const statement of setUp) connection.exec(statement)
    return connection
  } catch (error) {
    connection?.close()
    const reason = statSync(path).isDirectory() ? 'it is a directory' : reasonOf(error)
    const { code = '' } = error as { code?: string }
    throw new DatabaseFileError(`${path} cannot be used as a database: ${reason}`, code)
  }
}

/** What is there keeps its mode. */
export const makeDirectory = (path: string): unknown => mkdirSync(path, { recursive: true, mode: 0o700 })

/** SQLite gives what it puts beside a file (-wal, -shm) the mode of the file. */
function makeFile(path: string): void {
  try {
    // Never opens one that is there: to close it again would drop the locks that this process has on it.
    closeSync(openSync(path, 'ax', 0o600))
  } catch (error) {
    if ((error as { code?: string }).code !== 'EEXIST') throw error
  }
}
