// Owns a change of session rows within one transaction: locks, loads, and writes back rows, counts and roll-ups as one.
import { sessionKey } from '../../../mcp/stored-ids.js'
import { presumeClosed, type SessionRecord } from '../../model/merge.js'
import { type Bucket, type EndpointDelta, RollupDelta } from '../../model/rollup.js'
import { deleteRecords, loadRows, saveRecords } from '../session-rows.js'
import { type Dialect, type Param, type Sql } from '../sql-database.js'
import { insertMany, marks, runs } from '../statements.js'
import { appendToFeed, feedEntries, type FeedEntry } from './feed.js'

/**
 * Everything that changes a session goes through here, so a committed count is the sum of what the committed rows
 * say. Call `lock`, then `load`, then `put` what changed, then `save`.
 */
export class SessionChange {
  readonly #sql: Sql
  readonly #dialect: Dialect
  readonly #now: number
  readonly #before = new Map<string, SessionRecord>()
  readonly #after = new Map<string, SessionRecord>()

  constructor(sql: Sql, dialect: Dialect, now: number) {
    this.#sql = sql
    this.#dialect = dialect
    this.#now = now
  }

  /**
   * Locks the counts of the endpoints whose sessions may change, in one order: writers of an endpoint take turns, and
   * never wait for each other in a circle. `opening`: those that may see their first session.
   */
  async lock(endpointIds: Iterable<string>, opening: Iterable<string> = []): Promise<void> {
    const { time, onConflict } = this.#dialect
    const known = await this.#lockCounts(sortedSet(endpointIds))
    const unseen = sortedSet(opening).filter(endpointId => !known.has(endpointId))
    if (unseen.length === 0) return
    await insertMany(
      this.#sql,
      'endpoint_connections_v2',
      ['endpoint_id', 'connect_num', 'updated_at'],
      unseen.map(endpointId => [endpointId, 0, time(this.#now)]),
      onConflict(['endpoint_id'], [], [])
    )
    await this.#lockCounts(unseen)
  }

  /** Answers those that there are. */
  async #lockCounts(endpointIds: readonly string[]): Promise<Set<string>> {
    const locked = new Set<string>()
    for (const run of runs(endpointIds)) {
      const rows = await this.#sql.all(
        `SELECT endpoint_id FROM endpoint_connections_v2 WHERE endpoint_id IN (${marks(run.length)}) ORDER BY endpoint_id${this.#dialect.forUpdate}`,
        run
      )
      for (const row of rows) locked.add(row.endpoint_id as string)
    }
    return locked
  }

  /** Reads these sessions, once their endpoints are locked. */
  async load(sessions: Iterable<{ endpointId: string; sessionId: string }>): Promise<void> {
    const wanted = new Map(Array.from(sessions, session => [sessionKey(session), session.sessionId]))
    for (const [key, record] of await loadRows(this.#sql, sortedSet(wanted.values()))) {
      if (!wanted.has(key)) continue
      this.#before.set(key, record)
      this.#after.set(key, record)
    }
  }

  get(key: string): SessionRecord | undefined {
    return this.#after.get(key)
  }

  put(record: SessionRecord): void {
    this.#after.set(sessionKey(record), record)
  }

  /** Of a session that turned out to be another one. */
  remove(record: SessionRecord): void {
    this.#after.delete(sessionKey(record))
  }

  /** The records as they stand. */
  records(): Iterable<SessionRecord> {
    return this.#after.values()
  }

  /** The last statements before the commit: from here on other writers of the store wait. */
  async save(): Promise<void> {
    const delta = new RollupDelta()
    const changed: SessionRecord[] = []
    const changes: FeedEntry[] = []
    for (const [key, record] of [...this.#after].sort(byKey)) {
      const before = this.#before.get(key)
      if (record === before) continue
      changed.push(record)
      delta.change(before, record)
      changes.push(...feedEntries(before, record))
    }
    const removed = [...this.#before].filter(([key]) => !this.#after.has(key)).map(([, record]) => record)
    for (const record of removed) {
      delta.change(record, undefined)
      // Whoever follows the feed has it open no more.
      changes.push(...feedEntries(record, presumeClosed(record, record.lastSeenAt, 'idle')))
    }
    await deleteRecords(this.#sql, removed)
    await saveRecords(this.#sql, this.#dialect, changed)
    await saveDeltas(this.#sql, this.#dialect, delta, this.#now)
    await appendToFeed(this.#sql, this.#dialect, changes, this.#now)
    this.#sql.turned?.(changes)
  }
}

const sortedSet = (items: Iterable<string>): string[] => [...new Set(items)].sort()

const byKey = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number =>
  a < b ? -1 : a > b ? 1 : 0

/** Adds a delta to counts and roll-ups. */
export async function saveDeltas(sql: Sql, dialect: Dialect, delta: RollupDelta, now: number): Promise<void> {
  const endpoints = [...delta.endpoints].sort(byKey)
  await insertMany(
    sql,
    'endpoint_connections_v2',
    ['endpoint_id', ...COUNTS, 'updated_at'],
    endpoints
      .filter(([, d]) => d.connectNum !== 0 || d.openedNum !== 0)
      .map(([id, d]) => [id, d.connectNum, d.openedNum, dialect.time(now)]),
    dialect.onConflict(['endpoint_id'], ['updated_at'], COUNTS)
  )
  for (const { table, bucketsOf } of rollupTables) {
    const rows = endpoints.flatMap(([id, d]) =>
      [...bucketsOf(d)].flatMap(([start, b]) => bucketRow(dialect, id, start, b))
    )
    await insertMany(sql, table, BUCKET_COLUMNS, rows, dialect.onConflict(BUCKET_KEY, [], BUCKET_SUMS))
  }
}

/** The tables of roll-ups, and what of a delta goes there. */
export const rollupTables: readonly {
  table: string
  bucketsOf: (delta: EndpointDelta) => Map<number, Bucket>
}[] = [
  { table: 'endpoint_minutes_v2', bucketsOf: delta => delta.minutes },
  { table: 'endpoint_days_v2', bucketsOf: delta => delta.days }
]

const COUNTS = ['connect_num', 'opened_num']
const BUCKET_KEY = ['start_at', 'endpoint_id']
const BUCKET_SUMS = ['opened', 'closed', 'net_at_start']
const BUCKET_COLUMNS = [...BUCKET_KEY, ...BUCKET_SUMS]

/** A row for a bucket that changes, none for one whose changes cancel out. */
function bucketRow(dialect: Dialect, endpointId: string, start: number, bucket: Bucket): Param[][] {
  const { opened, closed, netAtStart } = bucket
  if (opened === 0 && closed === 0 && netAtStart === 0) return []
  return [[dialect.time(start), endpointId, opened, closed, netAtStart]]
}
