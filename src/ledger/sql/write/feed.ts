// Owns the feed of opens and closes: each is written in the transaction that changes its row, in the order of the commits.
import { sessionKey, type StoredId } from '../../../mcp/stored-ids.js'
import type { EpochMs } from '../../../util/time.js'
import type { SessionRecord } from '../../model/merge.js'
import type { FeedChange, FeedPart } from '../../store-port.js'
import { loadRows } from '../session-rows.js'
import type { Database, Sql } from '../sql-database.js'
import { insertMany, limitTo, marks, runs } from '../statements.js'

/** Rows deleted in one transaction. Chosen: more than of sessions, because these are small and no writer waits for them. */
const BATCH_ROWS = 5_000

/** A session that opened (`reason` is null) or closed. */
export type FeedEntry = Pick<
  SessionRecord,
  'endpointId' | 'sessionId' | 'transport' | 'protocolVersion' | 'connectAt' | 'disconnectAt' | 'reason'
>

/** The entries for the change of one row. A session that is first seen when it is over both opened and closed. */
export function feedEntries(before: SessionRecord | undefined, after: SessionRecord): FeedEntry[] {
  const wasOpen = before?.reason === null
  const isOpen = after.reason === null
  const opened = isOpen ? !wasOpen : before === undefined
  const closed = !isOpen && (wasOpen || before === undefined)
  return [...(opened ? [{ ...after, reason: null }] : []), ...(closed ? [after] : [])]
}

/**
 * Writes entries. This comes last in a transaction: no other writer gets a `seq` until it is committed, so no reader sees
 * a gap. `now`: the time of the entries, by which `deleteFeed` finds old ones.
 */
export async function appendToFeed(sql: Sql, entries: readonly FeedEntry[], now: EpochMs): Promise<void> {
  if (entries.length === 0) return
  const { time, onConflict } = sql.dialect
  const increase = onConflict(['id'], [], ['last_seq'])
  await insertMany(sql, 'turnstile_feed_head', ['id', 'last_seq'], [[1, entries.length]], increase)
  const first = (await lastSeq(sql)) - entries.length + 1
  await insertMany(
    sql,
    'turnstile_feed',
    ['seq', 'endpoint_id', 'session_id', 'connect_at', 'disconnect_at', 'reason', 'noted_at'],
    entries.map((entry, i) => [
      first + i,
      entry.endpointId,
      entry.sessionId,
      time(entry.connectAt),
      time(entry.disconnectAt),
      entry.reason,
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

/** `StoreWriter.deleteFeed`. */
export async function deleteFeed(db: Database, before: EpochMs): Promise<number> {
  return await db.write(async sql => {
    const rows = await sql.all(
      `SELECT seq FROM turnstile_feed WHERE noted_at < ? ORDER BY noted_at ${limitTo(BATCH_ROWS)}`,
      [sql.dialect.time(before)]
    )
    for (const run of runs(rows.map(row => Number(row.seq))))
      await sql.run(`DELETE FROM turnstile_feed WHERE seq IN (${marks(run.length)})`, run)
    return rows.length
  })
}
