// Owns the outbox: ledger events on this machine's disk, from the moment they are observed until the store has them.
//
// Its offset is the number (`seq`) up to which the store has applied the entries. It is committed in the store, in the
// transaction that applies them (`StoreWriter.apply`); entries up to it are then dropped from this file.
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type Libsql from 'libsql'
import type { LedgerEvent } from '../../sessions/events.js'
import type { UnplacedChange, UnplacedSession } from '../../sessions/unplaced-messages.js'
import { codeOf, TurnstileError } from '../../util/errors.js'
import type { Closable } from '../../util/startup.js'
import type { EpochMs } from '../../util/time.js'
import {
  DatabaseFileError,
  giveBackSpace,
  letShrink,
  openFile,
  overwriteLog,
  SECURE,
  SHRINKABLE
} from '../sqlite/sqlite-file.js'
import type { InstanceIdentity, OutboxEntry } from '../store-port.js'

const schema = `
CREATE TABLE IF NOT EXISTS outbox (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  boot INTEGER NOT NULL,
  event TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS unplaced (
  session_id TEXT PRIMARY KEY,
  waiting TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS instance (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  id TEXT NOT NULL,
  boot INTEGER NOT NULL,
  alive_at INTEGER NOT NULL
);
`

/** Free pages given back to the disk in a second. Chosen: 1 MiB, about 5 ms of the thread that forwards. */
const MAX_PAGES_GIVEN_BACK = 256

/** The data directory is in use by another process; the cause is SQLite's error. */
export class OutboxLockedError extends TurnstileError {
  readonly code = 'TURNSTILE_OUTBOX_LOCKED'
}

/** What `openOutbox` needs. */
export interface OutboxOptions {
  /** The data directory; it must exist. */
  directory: string
  now: EpochMs
}

/**
 * An append-only queue in `<directory>/outbox.db`. Appends are synchronous and outlive the process (`kill -9`), not a
 * power cut: WAL, synchronous = NORMAL. One process at a time: the file stays locked while it is open.
 */
export class Outbox implements Closable {
  /** This start of this proxy: the identity is made at the first start and lives in the file. */
  readonly instance: InstanceIdentity
  /** Of its file. */
  readonly path: string
  readonly #db: Libsql.Database
  readonly #insert: Libsql.Statement
  readonly #alive: Libsql.Statement
  #lastSeq: number
  #discardedSeq: number

  constructor({ directory, now }: OutboxOptions) {
    this.path = join(directory, 'outbox.db')
    this.#db = openLocked(this.path)
    letShrink(this.#db)
    this.#db.exec(schema)
    // What an older version left behind where it was killed within `skipTo`. The store has all up to there.
    this.#db.exec("DELETE FROM outbox WHERE seq <= (SELECT MAX(seq) FROM outbox WHERE event = '')")
    this.#insert = this.#db.prepare('INSERT INTO outbox (boot, event) VALUES (?, ?)')
    this.#alive = this.#db.prepare('UPDATE instance SET alive_at = ?')
    const { first, last } = this.#db
      .prepare(
        "SELECT (SELECT MIN(seq) FROM outbox) AS first, (SELECT seq FROM sqlite_sequence WHERE name = 'outbox') AS last"
      )
      .get() as { first: number | null; last: number | null }
    this.#lastSeq = last ?? 0
    this.#discardedSeq = first === null ? this.#lastSeq : first - 1
    this.instance = this.#start(now)
  }

  /** The offset of the last entry. */
  get lastOffset(): number {
    return this.#lastSeq
  }

  /** How many entries the store does not have yet. */
  get depth(): number {
    return this.#lastSeq - this.#discardedSeq
  }

  /** When the oldest of them was observed. */
  get oldestAt(): EpochMs | undefined {
    return this.depth === 0 ? undefined : this.read(1)[0]?.event.at
  }

  /** Bytes of the file, without its write-ahead log. */
  get sizeBytes(): number {
    const pragma = (name: string): number =>
      Number(Object.values(this.#db.prepare(`PRAGMA ${name}`).get() as object)[0])
    return pragma('page_count') * pragma('page_size')
  }

  /**
   * Writes events, and what changed of the messages without a session, in one transaction. On return they are on disk;
   * throws when they could not be written.
   */
  append(events: readonly LedgerEvent[], unplaced: readonly UnplacedChange[] = []): void {
    if (events.length + unplaced.length === 0) return
    let seq = this.#lastSeq
    const insert = (event: LedgerEvent): void => void (seq = this.#insertEvent(event))
    if (events.length === 1 && unplaced.length === 0) insert(events[0]!)
    else
      this.#transaction(() => {
        events.forEach(insert)
        unplaced.forEach(change => this.#keep(change))
      })
    this.#lastSeq = seq
  }

  /** The messages without a session that waited when they were last written. */
  unplaced(): UnplacedSession[] {
    const rows = this.#db.prepare('SELECT waiting FROM unplaced').all() as { waiting: string }[]
    return rows.map(({ waiting }) => JSON.parse(waiting) as UnplacedSession)
  }

  /** The oldest entries, at most `limit`. */
  read(limit: number): OutboxEntry[] {
    const rows = this.#db.prepare('SELECT seq, boot, event FROM outbox ORDER BY seq LIMIT ?').all(limit) as {
      seq: number
      boot: number
      event: string
    }[]
    return rows.map(({ seq, boot, event }) => ({
      offset: seq,
      boot,
      event: JSON.parse(event) as LedgerEvent
    }))
  }

  /** Drops the entries up to `seq`: the store has committed that offset. */
  discard(seq: number): void {
    this.#db.prepare('DELETE FROM outbox WHERE seq <= ?').run(seq)
    this.#discardedSeq = Math.max(this.#discardedSeq, seq)
  }

  /** Makes the next entry come after `seq`, where the store's offset is ahead of this file (restored from a backup). */
  skipTo(seq: number): void {
    if (seq <= this.#lastSeq) return
    this.#transaction(() => {
      this.#db.prepare("INSERT INTO outbox (seq, boot, event) VALUES (?, 0, '')").run(seq)
      this.discard(seq)
    })
    this.#lastSeq = seq
  }

  /** Once a second: notes that the process is alive at `now`; the streams that it holds have not ended before. */
  alive(now: EpochMs): void {
    this.#alive.run(now)
    giveBackSpace(this.#db, MAX_PAGES_GIVEN_BACK)
  }

  /** Overwrites on disk the entries that were dropped. */
  scrub(): void {
    if (this.#db.open) overwriteLog(this.#db)
  }

  close(): Promise<void> {
    this.#db.close()
    return Promise.resolve()
  }

  #insertEvent(event: LedgerEvent): number {
    return Number(this.#insert.run(this.instance.boot, JSON.stringify(event)).lastInsertRowid)
  }

  #keep({ sessionId, waiting }: UnplacedChange): void {
    if (waiting)
      this.#db
        .prepare('INSERT OR REPLACE INTO unplaced (session_id, waiting) VALUES (?, ?)')
        .run(sessionId, JSON.stringify(waiting))
    else this.#db.prepare('DELETE FROM unplaced WHERE session_id = ?').run(sessionId)
  }

  /** Notes a new start, and reports to the ledger that the streams of earlier ones are over. */
  #start(now: EpochMs): InstanceIdentity {
    const known = this.#db.prepare('SELECT id, boot, alive_at FROM instance').get() as
      { id: string; boot: number; alive_at: number } | undefined
    const instance = { id: known?.id ?? randomUUID(), boot: (known?.boot ?? 0) + 1 }
    this.#transaction(() => {
      this.#db
        .prepare(
          'INSERT INTO instance (only, id, boot, alive_at) VALUES (1, ?, ?, ?) ON CONFLICT DO UPDATE SET boot = excluded.boot, alive_at = excluded.alive_at'
        )
        .run(instance.id, instance.boot, now)
      if (!known) return
      const restart: LedgerEvent = { type: 'restart', at: Math.min(known.alive_at, now) }
      this.#lastSeq = Number(this.#insert.run(instance.boot, JSON.stringify(restart)).lastInsertRowid)
    })
    return instance
  }

  #transaction(work: () => void): void {
    this.#db.exec('BEGIN IMMEDIATE')
    try {
      work()
      this.#db.exec('COMMIT')
    } catch (error) {
      if (this.#db.inTransaction) this.#db.exec('ROLLBACK')
      throw error
    }
  }
}

/** Opens the queue as a new start of this proxy. Throws `OutboxLockedError`, or SQLite's error. */
export const openOutbox = (options: OutboxOptions): Outbox => new Outbox(options)

function openLocked(path: string): Libsql.Database {
  try {
    return openFile(path, [
      'PRAGMA locking_mode = EXCLUSIVE',
      ...SHRINKABLE,
      SECURE,
      'PRAGMA journal_mode = WAL',
      'PRAGMA synchronous = NORMAL',
      'BEGIN IMMEDIATE; COMMIT'
    ])
  } catch (error) {
    if (!(error instanceof DatabaseFileError) || codeOf(error.cause) !== 'SQLITE_BUSY') throw error
    throw new OutboxLockedError(
      `${path} is in use by another process: give each proxy a --data-dir of its own`,
      { cause: error }
    )
  }
}
