// Owns noticing that a database file was deleted, moved away or replaced while it is open: SQLite itself would go on to write
// the old one, which nobody finds any more.
import { rmSync, statSync } from 'node:fs'
import type Libsql from 'libsql'
import { DatabaseFileError, openFile } from './sqlite-file.js'

/** Which file a path names; undefined where there is none. While the file is open, no other one has the same number. */
export function fileAt(path: string): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false, bigint: true })
  return found && `${found.dev}:${found.ino}`
}

/** Connections to files that were replaced. To close one would delete the write-ahead log at its path, which is another's by now. */
const abandoned: Libsql.Database[] = []

/** A database file, opened when it is first asked for. */
export class WatchedFile {
  readonly #path: string
  readonly #setUp: readonly string[]
  readonly #mayMake: boolean
  #open: { connection: Libsql.Database; file: string | undefined; log: string | undefined } | undefined

  /** `setUp`: the first statements on a connection. `mayMake`: the first time, it is made if it does not exist. */
  constructor(path: string, setUp: readonly string[], mayMake: boolean) {
    this.#path = path
    this.#mayMake = mayMake
    // Reading makes SQLite open its write-ahead log.
    this.#setUp = [...setUp, 'SELECT 1 FROM sqlite_schema']
  }

  /**
   * The connection to the file that is at the path now. Throws `DatabaseFileError` where the file is gone: what was
   * committed is in it, so nothing else may take its place unasked.
   */
  connection(): Libsql.Database {
    const file = fileAt(this.#path)
    if (this.#open && file === this.#open.file) return this.#open.connection
    if (file === undefined && (this.#open || !this.#mayMake))
      throw new DatabaseFileError(
        `${this.#path} was deleted or moved away: put it back, or put an empty file there to begin anew`
      )
    if (this.#open) this.#abandon(this.#open)
    const connection = openFile(this.#path, this.#setUp)
    this.#open = { connection, file: fileAt(this.#path), log: fileAt(`${this.#path}-wal`) }
    return connection
  }

  close(): void {
    this.#open?.connection.close()
    this.#open = undefined
  }

  /** Leaves a file that was replaced. Its write-ahead log must not be taken for that of the new one. */
  #abandon({ connection, log }: { connection: Libsql.Database; log: string | undefined }): void {
    abandoned.push(connection)
    this.#open = undefined
    if (log === undefined || fileAt(`${this.#path}-wal`) !== log) return
    for (const ending of ['-wal', '-shm']) rmSync(this.#path + ending, { force: true })
  }
}
