// Owns the feed of opens and closes: written with the rows they speak of, in the order of the commits.
import { sessionKey } from '../../../mcp/stored-ids.js'
import type { SessionRecord } from '../../model/merge.js'
import type { FeedChange, FeedPart } from '../../store-port.js'
import { loadRows } from '../session-rows.js'
import { type Database, type Sql } from '../sql-database.js'
import { insertMany, marks, runs } from '../statements.js'

const BATCH_ROWS = 5_000

/** `reason` null: it opened. */
export type FeedEntry = Pick<
  SessionRecord,
  'endpointId' | 'sessionId' | 'transport' | 'protocolVersion' | 'connectAt' | 'disconnectAt' | 'reason'
>

/** What the change of one row tells. A session first seen when it was over opened and closed. */
export function feedEntries(before: SessionRecord | undefined, after: SessionRecord): FeedEntry[] {
  const wasOpen = before?.reason === null
  const isOpen = after.reason === null
  const opened = isOpen ? !wasOpen : before === undefined
  const closed = !isOpen && (wasOpen || before === undefined)
  return [...(opened ? [{ ...after, reason: null }] : []), ...(closed ? [after] : [])]
}

/** Comes last in a transaction: nobody else takes a `seq` until it is committed, so no reader sees a gap. */
export async function appendToFeed(sql: Sql, entries: readonly FeedEntry[], now: number): Promise<void> {
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

export async function feed(
  db: Database,
  { after, limit }: { after?: number; limit: number }
): Promise<FeedPart> {
  return await db.read(async sql => {
    if (after === undefined) return { position: await lastSeq(sql), changes: [] }
    const rows = await sql.all(
      'SELECT seq, endpoint_id, session_id, connect_at, disconnect_at, reason FROM turnstile_feed WHERE seq > ? ORDER BY seq LIMIT ?',
      [after, String(limit)]
    )
    const opened = rows.filter(row => row.reason === null).map(row => row.session_id as string)
    const sessions = await loadRows(sql, [...new Set(opened)])
    const changes = rows.flatMap((row): FeedChange[] => {
      const { endpointId, sessionId } = {
        endpointId: String(row.endpoint_id),
        sessionId: String(row.session_id)
      }
      if (row.reason === null) {
        const session = sessions.get(sessionKey({ endpointId, sessionId }))
        return session ? [{ kind: 'opened', session }] : []
      }
      const { connect_at: connectAt, disconnect_at: disconnectAt, reason } = row
      return [{ kind: 'closed', endpointId, sessionId, connectAt, disconnectAt, reason } as FeedChange]
    })
    return { position: Number(rows.at(-1)?.seq ?? after), changes }
  })
}

/** Deletes what was told before `before` (epoch ms), at most a batch; how many. */
export async function deleteFeed(db: Database, before: number): Promise<number> {
  return await db.write(async sql => {
    const rows = await sql.all(
      'SELECT seq FROM turnstile_feed WHERE noted_at < ? ORDER BY noted_at LIMIT ?',
      [sql.dialect.time(before), String(BATCH_ROWS)]
    )
    for (const run of runs(rows.map(row => Number(row.seq))))
      await sql.run(`DELETE FROM turnstile_feed WHERE seq IN (${marks(run.length)})`, run)
    return rows.length
  })
}
