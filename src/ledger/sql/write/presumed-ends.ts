// Owns ends that are concluded from silence: sessions that were idle for too long, and, when an instance is lost (it sent
// no heartbeat for its lease), the streams that it held. When to look is decided in pipeline/store-maintenance.ts.
import type { SessionIds, StoredId } from '../../../mcp/stored-ids.js'
import { Transport } from '../../../mcp/transports.js'
import type { EpochMs } from '../../../util/time.js'
import { idleAfterMs, mayIdle, presumeClosed, type SessionRecord } from '../../model/merge.js'
import { OPEN_CLASS } from '../../model/rollup.js'
import type { IdleSession } from '../../store-port.js'
import type { Param, Sql } from '../sql-database.js'
import { limitTo } from '../statements.js'
import { markLost } from './instances.js'
import { changeSessions, type Ledger, type SessionChange } from './session-change.js'

/** Sessions closed in one transaction. Chosen: the longest run of `runs`, which locks their endpoints for a moment only. */
const BATCH_SESSIONS = 256

/** `StoreWriter.loseStreams`: what is done when an instance is lost. */
export async function loseStreams(
  ledger: Ledger,
  id: string,
  heartbeatAt: EpochMs,
  now: EpochMs
): Promise<number> {
  return await changeSessions(ledger, now, async (sql, change) => {
    if (!(await markLost(sql, id, heartbeatAt))) return 0
    const held = await openStreams(sql, id)
    const lost = await presume(change, held, record => presumeClosed(record, heartbeatAt, 'lost'))
    return lost.length
  })
}

/** The open sessions whose legacy stream an instance held, in any of its processes. */
export const openStreams = (sql: Sql, instanceId: string): Promise<SessionIds[]> =>
  selectOpen(sql, 'holder = ?', [instanceId])

/**
 * `StoreWriter.closeIdle`: the idle close. A legacy session whose stream was seen is never idle (`mayIdle`). The last that
 * idled come first: where very many idle at once, those that idle meanwhile do not wait for them.
 */
export async function closeIdle(ledger: Ledger, now: EpochMs): Promise<IdleSession[]> {
  const timeoutMs = idleAfterMs(ledger.rules)
  if (timeoutMs === Infinity) return []
  return await changeSessions(ledger, now, async (sql, change) => {
    const idle = await selectOpen(
      sql,
      `(transport_type <> ? OR holder IS NULL) AND last_seen_at <= ? ORDER BY last_seen_at DESC ${limitTo(BATCH_SESSIONS)}`,
      [Transport.sse, sql.dialect.time(now - timeoutMs)]
    )
    const closed = await presume(change, idle, record =>
      mayIdle(record) && record.lastSeenAt + timeoutMs <= now
        ? presumeClosed(record, record.lastSeenAt + timeoutMs, 'idle')
        : record
    )
    return closed.map(({ endpointId, sessionId, transport }) => ({ endpointId, sessionId, transport }))
  })
}

const selectOpen = async (sql: Sql, condition: string, params: readonly Param[]): Promise<SessionIds[]> => {
  const statement = `SELECT endpoint_id, session_id FROM endpoint_logs_v2 WHERE duration_class = ? AND ${condition}`
  const rows = await sql.all(statement, [OPEN_CLASS, ...params])
  return rows.map(row => ({ endpointId: row.endpoint_id as StoredId, sessionId: row.session_id as StoredId }))
}

/**
 * Ends candidates. They were read without a lock, so `decide` is asked once their endpoints are locked; it returns a
 * record as it was to leave it open. Returns the records that ended.
 */
async function presume(
  change: SessionChange,
  candidates: readonly SessionIds[],
  decide: (record: SessionRecord) => SessionRecord
): Promise<SessionRecord[]> {
  await change.lock(candidates.map(session => session.endpointId))
  await change.load(candidates)
  const ended: SessionRecord[] = []
  for (const before of [...change.records()]) {
    const after = decide(before)
    if (after === before) continue
    change.put(after)
    ended.push(after)
  }
  return ended
}
