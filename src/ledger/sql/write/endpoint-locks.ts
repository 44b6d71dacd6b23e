// Owns the lock of an endpoint: the row of its count, which every writer of its sessions takes first.
import { compareIds, type StoredId } from '../../../mcp/stored-ids.js'
import type { EpochMs } from '../../../util/time.js'
import type { Sql } from '../sql-database.js'
import { insertMany, marks, runs } from '../statements.js'

/**
 * Locks the counts of endpoints until the transaction ends. All writers lock in the same order, so they wait for each
 * other but never in a circle (a deadlock). `opening`: the endpoints that may see their first session now; those get a
 * count of 0 if they have none. `now` becomes `updated_at` of such a new count.
 */
export async function lockEndpoints(
  sql: Sql,
  now: EpochMs,
  endpointIds: Iterable<StoredId>,
  opening: Iterable<StoredId> = []
): Promise<void> {
  const { time, onConflict } = sql.dialect
  const known = await lockCounts(sql, sortedSet(endpointIds))
  const unseen = sortedSet(opening).filter(endpointId => !known.has(endpointId))
  if (unseen.length === 0) return
  await insertMany(
    sql,
    'endpoint_connections_v2',
    ['endpoint_id', 'connect_num', 'updated_at'],
    unseen.map(endpointId => [endpointId, 0, time(now)]),
    onConflict(['endpoint_id'], [], [])
  )
  await lockCounts(sql, unseen)
}

/** Returns the endpoints among these that have a count. */
async function lockCounts(sql: Sql, endpointIds: readonly StoredId[]): Promise<Set<StoredId>> {
  const locked = new Set<StoredId>()
  for (const run of runs(endpointIds)) {
    const rows = await sql.all(
      `SELECT endpoint_id FROM endpoint_connections_v2 WHERE endpoint_id IN (${marks(run.length)}) ORDER BY endpoint_id${sql.dialect.forUpdate}`,
      run
    )
    for (const row of rows) locked.add(row.endpoint_id as StoredId)
  }
  return locked
}

const sortedSet = (items: Iterable<StoredId>): StoredId[] => [...new Set(items)].sort(compareIds)
