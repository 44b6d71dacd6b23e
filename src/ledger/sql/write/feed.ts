// Owns the feed of opens and closes: each is written in the transaction that changes its row, in the order of the commits.
// Live monitoring follows it here; as events it is read in sql/read/event-pages.ts.
import { randomBytes } from 'node:crypto'
import { sessionKey, type StoredId } from '../../../mcp/stored-ids.js'
import type { EpochMs } from '../../../util/time.js'
import type { SessionRecord } from '../../model/merge.js'
import type { FeedChange, FeedPart } from '../../store-port.js'
import { loadRows } from '../session-rows.js'
import type { Database, Sql } from '../sql-database.js'
import { insertMany, limitTo } from '../statements.js'

/** Rows deleted in one transaction. Chosen: more than of sessions, because these are small and no writer waits for them. */
const BATCH_ROWS = 5_000
/** Of the tag of a feed. Chosen: two stores have the same one with a probability of one in 10^14. */
const TAG_BYTES = 6

const COLUMNS = [
  ...['seq', 'endpoint_id', 'session_id', 'transport_type', 'connect_at', 'disconnect_at'],
  ...['reason', 'is_again', 'request_count', 'noted_at']
]

/** A session that opened (`reason` is null) or closed. */
export interface FeedEntry extends Pick<
  SessionRecord,
  | 'endpointId'
  | 'sessionId'
  | 'transport'
  | 'protocolVersion'
  | 'connectAt'
  | 'disconnectAt'
  | 'reason'
  | 'requestCount'
> {
  /** It was closed before, and is open again. */
  isAgain?: boolean
}

/** The entries for the change of one row. A session that is first seen when it is over both opened and closed. */
export function feedEntries(before: SessionRecord | undefined, after: SessionRecord): FeedEntry[] {
  const wasOpen = before?.reason === null
  const isOpen = after.reason === null
  const opened = isOpen ? !wasOpen : before === undefined
  const closed = !isOpen && (wasOpen || before === undefined)
  const isAgain = opened && before !== undefined
  const opening = opened && [{ ...after, disconnectAt: after.connectAt, reason: null, isAgain }]
  return [...(opening || []), ...(closed ? [after] : [])]
}

/**
 * Writes entries. This comes last in a transaction: no other writer gets a `seq` until it is committed, so no reader sees
 * a gap. `now`: the time of the entries, by which `deleteFeed` finds old ones.
 */
export async function appendToFeed(sql: Sql, entries: readonly FeedEntry[], now: EpochMs): Promise<void> {
  if (entries.length === 0) return
  const { time, onConflict } = sql.dialect
  const increase = onConflict(['id'], [], ['last_seq'])
  const head = [1, entries.length, randomBytes(TAG_BYTES).toString('base64url')]
  await insertMany(sql, 'turnstile_feed_head', ['id', 'last_seq', 'tag'], [head], increase)
  const first = (await lastSeq(sql)) - entries.length + 1
  await insertMany(
    sql,
    'turnstile_feed',
    COLUMNS,
    entries.map((entry, i) => [
      first + i,
      entry.endpointId,
      entry.sessionId,
      entry.transport,
      time(entry.connectAt),
      time(entry.disconnectAt),
      entry.reason,
      entry.isAgain ? 1 : 0,
      entry.requestCount,
      time(now)
    ]),
    ''
  )
}

async function lastSeq(sql: Sql): Promise<number> {
  const [head] = await sql.all('SELECT last_seq FROM turnstile_feed_head')
  return Number(head?.last_seq ?? 0)
}

/** `StoreReader.feed`. */
export async function feed(
  db: Database,
  { after, limit }: { after?: number; limit: number }
): Promise<FeedPart> {
  return await db.read(async sql => {
    if (after === undefined) return { position: await lastSeq(sql), changes: [] }
    const rows = await sql.all(
      `SELECT seq, endpoint_id, session_id, connect_at, disconnect_at, reason FROM turnstile_feed WHERE seq > ? ORDER BY seq ${limitTo(limit)}`,
      [after]
    )
    const opened = rows.filter(row => row.reason === null).map(row => row.session_id as StoredId)
    const sessions = await loadRows(sql, [...new Set(opened)])
    const changes = rows.flatMap((row): FeedChange[] => {
      const ids = { endpointId: row.endpoint_id as StoredId, sessionId: row.session_id as StoredId }
      if (row.reason === null) {
        const session = sessions.get(sessionKey(ids))
        return session ? [{ kind: 'opened', session }] : []
      }
      const { connect_at: connectAt, disconnect_at: disconnectAt, reason } = row
      return [{ kind: 'closed', ...ids, connectAt, disconnectAt, reason } as FeedChange]
    })
    return { position: Number(rows.at(-1)?.seq ?? after), changes }
  })
}

/**
 * `StoreWriter.deleteFeed`. What is left has no gaps: entries come in the order of the commits, and those of instances whose
 * clocks differ a little are deleted together.
 */
export async function deleteFeed(db: Database, before: EpochMs): Promise<number> {
  return await db.write(async sql => {
    const [old] = await sql.all(
      `SELECT MIN(seq) AS first_seq, MAX(CASE WHEN noted_at < ? THEN seq END) AS last_seq FROM (SELECT seq, noted_at FROM turnstile_feed ORDER BY seq ${limitTo(BATCH_ROWS)}) AS oldest`,
      [sql.dialect.time(before)]
    )
    if (old?.last_seq == null) return 0
    await sql.run('DELETE FROM turnstile_feed WHERE seq <= ?', [old.last_seq])
    return Number(old.last_seq) - Number(old.first_seq) + 1
  })
}
