// Owns opening a file as a SQLite database. Only the file's owner may read it, because session ids are secrets. A file that
// cannot be used is refused with a message for people.
import { accessSync, closeSync, constants, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import Libsql from 'libsql'
import { codeOf, reasonOf, TurnstileError } from '../../util/errors.js'

/** Bytes that a write-ahead log may keep on disk when it is empty. Chosen: far more than a checkpoint leaves behind. */
const MAX_EMPTY_LOG_BYTES = 16_777_216
/** Among the first statements on a file: only one without tables takes it. */
export const SHRINKABLE = [
  'PRAGMA auto_vacuum = INCREMENTAL',
  `PRAGMA journal_size_limit = ${MAX_EMPTY_LOG_BYTES}`
]
/** Overwrites what is deleted, so that no name of a person stays in a file. */
export const SECURE = 'PRAGMA secure_delete = ON'
/** Free pages that a file keeps, for what comes next. Chosen: 4 MiB. */
const KEPT_FREE_PAGES = 1_024
/** A file of an older version is rewritten at its start if no more than so many pages are in use. Chosen: 40 MiB, below a second. */
const MAX_REWRITTEN_PAGES = 10_240

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

/** Lets a file of an older version shrink, too, if it is small; a larger one stays as it is. */
export function letShrink(connection: Libsql.Database): void {
  if (pragma(connection, 'auto_vacuum') !== 0) return
  if (pragma(connection, 'page_count') - pragma(connection, 'freelist_count') > MAX_REWRITTEN_PAGES) return
  try {
    connection.exec('PRAGMA auto_vacuum = INCREMENTAL')
    connection.exec('VACUUM')
  } catch {
    // The disk is full, or another process reads the file: it is tried again at the next start.
  }
}

/** Gives at most `maxPages` free pages back to the disk. Each takes about 20 µs. */
export function giveBackSpace(connection: Libsql.Database, maxPages: number): void {
  const free = pragma(connection, 'freelist_count') - KEPT_FREE_PAGES
  if (free > 0) connection.exec(`PRAGMA incremental_vacuum(${Math.min(free, maxPages)})`)
}

/** Empties the write-ahead log, which has what was deleted, unless somebody reads the file. */
export function overwriteLog(connection: Libsql.Database): void {
  connection.prepare('PRAGMA wal_checkpoint(TRUNCATE)').all()
}

const pragma = (connection: Libsql.Database, name: string): number =>
  Number((connection.prepare(`PRAGMA ${name}`).get() as Record<string, unknown>)[name])

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
