// Owns a change of session rows within one transaction: locks, loads, and writes back rows, counts and roll-ups as one.
import { type SessionIds, sessionKey, type StoredId } from '../../../mcp/stored-ids.js'
import type { EpochMs } from '../../../util/time.js'
import { presumeClosed, type SessionRecord } from '../../model/merge.js'
import { PeopleDelta } from '../../model/people.js'
import { RollupDelta } from '../../model/rollup.js'
import type { LedgerRules, SharedSession } from '../../store-port.js'
import { deleteRecords, loadRows, saveRecords } from '../session-rows.js'
import type { Database, Sql } from '../sql-database.js'
import { lockEndpoints } from './endpoint-locks.js'
import { appendToFeed, feedEntries, type FeedEntry } from './feed.js'
import { countConversations, savePrincipals } from './people-rows.js'
import { saveDeltas } from './rollup-rows.js'

/** What every writer of sessions needs: the database, the rules of the ledger, and who counts what was committed. */
export interface Ledger {
  readonly database: Database
  readonly rules: LedgerRules
  /** Takes the opens and closes of a transaction after its commit; it never gets those of an attempt that was rolled back. */
  readonly onCommitted: (entries: readonly FeedEntry[]) => void
}

/**
 * Changes sessions in one transaction: `work` locks, loads and puts; what it put is saved before the commit. The database
 * may ask for a retry, so `work` may run several times. Returns what `work` returned. Throws what the database throws;
 * then nothing was changed, or (the connection broke at the commit) nobody knows.
 */
export async function changeSessions<T>(
  { database, onCommitted }: Ledger,
  now: EpochMs,
  work: (sql: Sql, change: SessionChange) => Promise<T>
): Promise<T> {
  let entries: readonly FeedEntry[] = []
  const result = await database.write(async sql => {
    const change = new SessionChange(sql, now)
    const value = await work(sql, change)
    entries = await change.save()
    return value
  })
  onCommitted(entries)
  return result
}

/**
 * Everything that changes a session goes through here, so that a committed count is always the sum of the committed
 * rows. Call `lock`, then `load`, then `put` what changed; `changeSessions` calls `save`.
 */
export class SessionChange {
  readonly #sql: Sql
  readonly #now: EpochMs
  readonly #before = new Map<string, SessionRecord>()
  readonly #after = new Map<string, SessionRecord>()

  constructor(sql: Sql, now: EpochMs) {
    this.#sql = sql
    this.#now = now
  }

  /** Locks the endpoints whose sessions may change; `opening`: those that may see their first session. */
  async lock(endpointIds: Iterable<StoredId>, opening: Iterable<StoredId> = []): Promise<void> {
    await lockEndpoints(this.#sql, this.#now, endpointIds, opening)
  }

  /** Reads these sessions, once their endpoints are locked. */
  async load(sessions: Iterable<SessionIds>): Promise<void> {
    const wanted = new Map(Array.from(sessions, session => [sessionKey(session), session.sessionId]))
    for (const [key, record] of await loadRows(this.#sql, [...new Set(wanted.values())].sort())) {
      if (!wanted.has(key)) continue
      this.#before.set(key, record)
      this.#after.set(key, record)
    }
  }

  /** The record with this `sessionKey`, as it stands now; undefined if it was not loaded or is not in the store. */
  get(key: string): SessionRecord | undefined {
    return this.#after.get(key)
  }

  /** Replaces the record of its session; saved before the commit. */
  put(record: SessionRecord): void {
    this.#after.set(sessionKey(record), record)
  }

  /** Deletes the row of a session. */
  remove(record: SessionRecord): void {
    this.#after.delete(sessionKey(record))
  }

  /** All records as they stand now. */
  records(): Iterable<SessionRecord> {
    return this.#after.values()
  }

  /** The sessions of which it was not known before that two principals use them. */
  newlyShared(): SharedSession[] {
    return [...this.#after]
      .filter(([key, { isShared }]) => isShared && this.#before.get(key)?.isShared !== true)
      .map(([, { endpointId, connectAt }]) => ({ endpointId, connectAt }))
  }

  /**
   * Writes all changes; returns the opens and closes among them. These are the last statements before the commit: from
   * here on the other writers of the store wait.
   */
  async save(): Promise<FeedEntry[]> {
    const delta = new RollupDelta()
    const people = new PeopleDelta()
    const changed: SessionRecord[] = []
    const entries: FeedEntry[] = []
    for (const [key, record] of [...this.#after].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const before = this.#before.get(key)
      if (record === before) continue
      changed.push(record)
      delta.change(before, record)
      people.change(before, record)
      entries.push(...feedEntries(before, record))
    }
    const removed = [...this.#before].filter(([key]) => !this.#after.has(key)).map(([, record]) => record)
    for (const record of removed) {
      delta.change(record, undefined)
      people.change(record, undefined)
      // Followers of the feed count this session as open, so they are told that it closed.
      entries.push(...feedEntries(record, presumeClosed(record, record.lastSeenAt, 'idle')))
    }
    await deleteRecords(this.#sql, removed)
    await saveRecords(this.#sql, changed)
    await countConversations(this.#sql, people, delta)
    await saveDeltas(this.#sql, delta, this.#now)
    await savePrincipals(this.#sql, people)
    await appendToFeed(this.#sql, entries, this.#now)
    return entries
  }
}
