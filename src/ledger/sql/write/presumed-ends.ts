// Owns ends concluded from silence: sessions idle for too long, and streams of a proxy that is gone.
import { Transport } from '../../../mcp/transports.js'
import { mayIdle, presumeClosed, type SessionRecord } from '../../model/merge.js'
import { OPEN_CLASS } from '../../model/rollup.js'
import type { IdleSession } from '../../store-port.js'
import { selectRecords } from '../session-rows.js'
import type { Database, Dialect, Param, Sql } from '../sql-database.js'
import { markLost } from './instances.js'
import { SessionChange } from './session-change.js'

const BATCH_SESSIONS = 500

/** Closes the streams of a proxy not heard of since `heartbeatAt`, as `lost` at that moment; how many. */
export async function loseStreams(
  db: Database,
  id: string,
  heartbeatAt: number,
  now: number
): Promise<number> {
  return await db.write(async sql => {
    if (!(await markLost(sql, db.dialect, id, heartbeatAt))) return 0
    const held = await openStreams(sql, id)
    const lost = await presume(sql, db.dialect, held, now, record =>
      presumeClosed(record, heartbeatAt, 'lost')
    )
    return lost.length
  })
}

/** The open sessions whose stream a proxy held, at whichever start. */
export const openStreams = (sql: Sql, instanceId: string): Promise<SessionRecord[]> =>
  selectOpen(sql, 'holder = ?', [instanceId])

/**
 * Closes sessions without a use for `timeoutMs`, as `idle` at their last use plus that time, at most a batch; which.
 * Legacy sessions whose stream was seen never do (`mayIdle`).
 */
export async function closeIdle(db: Database, timeoutMs: number, now: number): Promise<IdleSession[]> {
  return await db.write(async sql => {
    const limit = String(BATCH_SESSIONS)
    const params = [Transport.sse, db.dialect.time(now - timeoutMs), limit]
    const idle = await selectOpen(
      sql,
      '(transport_type <> ? OR holder IS NULL) AND last_seen_at <= ? LIMIT ?',
      params
    )
    const closed = await presume(sql, db.dialect, idle, now, record =>
      mayIdle(record) && record.lastSeenAt + timeoutMs <= now
        ? presumeClosed(record, record.lastSeenAt + timeoutMs, 'idle')
        : record
    )
    return closed.map(({ endpointId, sessionId, transport }) => ({ endpointId, sessionId, transport }))
  })
}

const selectOpen = (sql: Sql, condition: string, params: readonly Param[]): Promise<SessionRecord[]> =>
  selectRecords(sql, `duration_class = ? AND ${condition}`, [OPEN_CLASS, ...params])

/** Ends candidates, each decided once more after its endpoint is locked; which ended. */
async function presume(
  sql: Sql,
  dialect: Dialect,
  candidates: readonly SessionRecord[],
  now: number,
  decide: (record: SessionRecord) => SessionRecord
): Promise<SessionRecord[]> {
  const change = new SessionChange(sql, dialect, now)
  await change.lock(candidates.map(record => record.endpointId))
  await change.load(candidates)
  const ended: SessionRecord[] = []
  for (const before of [...change.records()]) {
    const after = decide(before)
    if (after === before) continue
    change.put(after)
    ended.push(after)
  }
  await change.save()
  return ended
}
