// Owns opening a file as a SQLite database. Only the file's owner may read it, because session ids are secrets. A file that
// cannot be used is refused with a message for people.
import { accessSync, closeSync, constants, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import Libsql from 'libsql'
import { codeOf, reasonOf, TurnstileError } from '../../util/errors.js'

/** A file cannot be used as a database; `cause` is the error of SQLite, with a code such as `SQLITE_NOTADB`. */
export class DatabaseFileError extends TurnstileError {
  readonly code = 'TURNSTILE_DATABASE_FILE'
}

/**
 * Opens a database file; makes it and its directory if they do not exist. `setUp`: the first statements; only they show
 * that a file is no database. Throws `DatabaseFileError`, and errors of `node:fs` where access is denied.
 */
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
    throw new DatabaseFileError(`${path} cannot be used as a database: ${reason}`, { cause: error })
  }
}

/** Makes a directory that only its owner may read, and its parents; one that exists keeps its mode. */
export const makeDirectory = (path: string): unknown => mkdirSync(path, { recursive: true, mode: 0o700 })

/** SQLite gives what it puts beside a file (-wal, -shm) the mode of the file. */
function makeFile(path: string): void {
  try {
    // 'x': a file that exists is not opened, for closing it would drop the locks that this process has on it (fcntl).
    closeSync(openSync(path, 'ax', 0o600))
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  }
}
