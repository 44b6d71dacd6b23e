// Owns the deletion of an endpoint with all that the store has of it, in batches: after each, counts and roll-ups still equal
// the rows.
import type { StoredId } from '../../../mcp/stored-ids.js'
import { Transport } from '../../../mcp/transports.js'
import type { CloseEvent } from '../../../sessions/events.js'
import { type EpochMs, HOUR_MS } from '../../../util/time.js'
import type { SessionRecord } from '../../model/merge.js'
import type { EndpointDeletion } from '../../store-port.js'
import type { Sql } from '../sql-database.js'
import { limitTo } from '../statements.js'
import { noteEarlyCloses } from './early-closes.js'
import { deleteBucketsOf } from './rollup-rows.js'
import { changeSessions, type Ledger, type SessionChange } from './session-change.js'
import { forgetVisits } from './visit-rows.js'

/** Sessions deleted in one transaction. Chosen: the longest run of `runs`, which locks the endpoint for a moment only. */
const BATCH_SESSIONS = 256
/** Endpoints that give place in one call. Chosen: none of them has sessions, so each is a few statements. */
const BATCH_ENDPOINTS = 64
/** A use is told within this time. Chosen: as long as early closes are kept. */
const LATE_MS = HOUR_MS
/** Endpoints give place from this part of the limit on. Chosen: a minute's new ones find room. */
const NEARLY_FULL = 0.9

/** `StoreWriter.deleteEndpoint`. */
export async function deleteEndpoint(
  ledger: Ledger,
  endpointId: StoredId,
  now: EpochMs
): Promise<EndpointDeletion> {
  return await changeSessions(ledger, now, async (sql, change) => {
    await change.lock([endpointId])
    const openNum = await openNumOf(sql, endpointId)
    if (openNum === undefined) return 'unknown'
    if (openNum > 0) return 'open'
    if (await deleteSessions(sql, change, endpointId, now)) return 'more'
    // What is left of the roll-ups is of sessions that retention deleted.
    if (await deleteBucketsOf(sql, endpointId)) return 'more'
    await sql.run('DELETE FROM endpoint_connections_v2 WHERE endpoint_id = ?', [endpointId])
    return 'deleted'
  })
}

async function openNumOf(sql: Sql, endpointId: StoredId): Promise<number | undefined> {
  const statement = 'SELECT connect_num FROM endpoint_connections_v2 WHERE endpoint_id = ?'
  const [row] = await sql.all(statement, [endpointId])
  return row && Number(row.connect_num)
}

/**
 * Deletes sessions that ended, at most a batch; whether there were any. Their ends are kept where another instance may still have a
 * use to tell, which would open them again.
 */
async function deleteSessions(
  sql: Sql,
  change: SessionChange,
  endpointId: StoredId,
  now: EpochMs
): Promise<boolean> {
  const rows = await sql.all(
    `SELECT session_id, transport_type FROM endpoint_logs_v2 WHERE endpoint_id = ? ${limitTo(BATCH_SESSIONS)}`,
    [endpointId]
  )
  await change.load(rows.map(row => ({ endpointId, sessionId: row.session_id as StoredId })))
  const records = [...change.records()]
  for (const record of records) change.remove(record)
  const ends = records.flatMap(endOf).filter(({ at }) => at >= now - LATE_MS)
  await noteEarlyCloses(sql, ends, now)
  const visits = rows.filter(row => row.transport_type === Transport.sessionless)
  await forgetVisits(
    sql,
    visits.map(row => row.session_id as StoredId)
  )
  return rows.length > 0
}

/** The end of a session, if an instance saw it. */
const endOf = ({
  endpointId,
  sessionId,
  transport,
  closedAt: at,
  closedBy: reason
}: SessionRecord): CloseEvent[] =>
  at === null || reason === null ? [] : [{ type: 'close', endpointId, sessionId, transport, at, reason }]

/**
 * `StoreWriter.deleteOldEndpoints`: where the store is nearly full of endpoints, those give place that have no sessions, and
 * had none opened or closed since `before`.
 */
export async function deleteOldEndpoints(ledger: Ledger, before: EpochMs, now: EpochMs): Promise<number> {
  const { database, rules } = ledger
  const { maxEndpoints = 0 } = rules
  if (maxEndpoints === 0) return 0
  const old = await database.read(async sql =>
    (await countEndpoints(sql)) < NEARLY_FULL * maxEndpoints
      ? []
      : await sql.all(
          'SELECT endpoint_id FROM endpoint_connections_v2 AS c WHERE connect_num = 0 AND updated_at < ? AND ' +
            `NOT EXISTS (SELECT 1 FROM endpoint_logs_v2 AS l WHERE l.endpoint_id = c.endpoint_id) ORDER BY updated_at ${limitTo(BATCH_ENDPOINTS)}`,
          [sql.dialect.time(before)]
        )
  )
  for (const row of old) {
    while ((await deleteEndpoint(ledger, row.endpoint_id as StoredId, now)) === 'more');
  }
  return old.length
}

/** How many endpoints the store has. */
export async function countEndpoints(sql: Sql): Promise<number> {
  const [row] = await sql.all('SELECT COUNT(*) AS endpoint_num FROM endpoint_connections_v2')
  return Number(row!.endpoint_num)
}
