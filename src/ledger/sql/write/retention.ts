// Owns retention: old ended sessions and old roll-ups are deleted, in batches small enough to disturb nobody.
import type { StoredId } from '../../../mcp/stored-ids.js'
import { Transport } from '../../../mcp/transports.js'
import { DAY_MS, type EpochMs } from '../../../util/time.js'
import { PeopleDelta } from '../../model/people.js'
import { closedClasses, floorTo } from '../../model/rollup.js'
import { readRow, ROW_COLUMNS } from '../session-rows.js'
import type { Database, Sql } from '../sql-database.js'
import { insertMany, limitTo, marks, runs } from '../statements.js'
import { savePrincipals } from './people-rows.js'
import { BATCH_BUCKETS, bucketTables } from './rollup-rows.js'
import { forgetVisits } from './visit-rows.js'

/** Rows deleted in one transaction. Chosen: the longest run of `runs`, for a delete locks what it deletes. */
const BATCH_ROWS = 256

/**
 * `StoreWriter.deleteEnded`. It notes `before` as the horizon (`horizonOf`): from there on, and only from there, roll-ups
 * can be computed again from the rows.
 */
export async function deleteEnded(db: Database, before: EpochMs): Promise<number> {
  return await db.write(async sql => {
    const { time } = sql.dialect
    const ids: number[] = []
    const visits: StoredId[] = []
    const people = new PeopleDelta()
    for (const c of closedClasses) {
      const rows = await sql.all(
        `SELECT ${ROW_COLUMNS} FROM endpoint_logs_v2 WHERE duration_class = ? AND connect_at < ? AND disconnect_at < ? ORDER BY connect_at ${limitTo(BATCH_ROWS)}${sql.dialect.forUpdate}`,
        [c, time(before), time(before)]
      )
      rows.splice(BATCH_ROWS - ids.length)
      ids.push(...rows.map(row => row.id as number))
      for (const row of rows) people.change(readRow(row), undefined)
      const ofVisits = rows.filter(row => row.transport_type === Transport.sessionless)
      visits.push(...ofVisits.map(row => row.session_id as StoredId))
      if (ids.length === BATCH_ROWS) break
    }
    for (const run of runs(ids))
      await sql.run(`DELETE FROM endpoint_logs_v2 WHERE id IN (${marks(run.length)})`, run)
    await forgetVisits(sql, visits)
    await savePrincipals(sql, people)
    if (ids.length > 0) await raiseHorizon(sql, 'rows', before)
    return ids.length
  })
}

/** What retention deletes, and the `id` of its horizon. */
const horizons = { rows: 1, rollups: 2 }

/**
 * The horizon: all sessions that ended from this instant on still have their rows, or all roll-ups that start from it on are
 * still there; -Infinity if none was ever deleted.
 */
export async function horizonOf(sql: Sql, what: keyof typeof horizons): Promise<EpochMs> {
  const [row] = await sql.all('SELECT rows_from_at FROM turnstile_horizon WHERE id = ?', [horizons[what]])
  return row ? (row.rows_from_at as EpochMs) : -Infinity
}

async function raiseHorizon(sql: Sql, what: keyof typeof horizons, to: EpochMs): Promise<void> {
  if ((await horizonOf(sql, what)) >= to) return
  const { time, onConflict } = sql.dialect
  const columns = ['id', 'rows_from_at']
  const row = [horizons[what], time(to)]
  await insertMany(sql, 'turnstile_horizon', columns, [row], onConflict(['id'], ['rows_from_at'], []))
}

/** `StoreWriter.deleteRollups`: minutes, days and uses of tools, at most a batch of each. */
export async function deleteRollups(db: Database, before: EpochMs): Promise<number> {
  const day = floorTo(before, DAY_MS)
  let deleted = 0
  for (const table of bucketTables) deleted += await deleteBuckets(db, table, day)
  return deleted
}

/** Deletes the first buckets of a table, at most a batch, by ranges of its key. Returns how many. */
async function deleteBuckets(db: Database, table: string, before: EpochMs): Promise<number> {
  return await db.write(async sql => {
    const { time } = sql.dialect
    const first = await sql.all(
      `SELECT start_at, endpoint_id FROM ${table} WHERE start_at < ? ORDER BY start_at, endpoint_id ${limitTo(BATCH_BUCKETS)}`,
      [time(before)]
    )
    const last = first.at(-1)
    if (!last) return 0
    await raiseHorizon(sql, 'rollups', before)
    const startAt = time(last.start_at as EpochMs)
    await sql.run(`DELETE FROM ${table} WHERE start_at < ?`, [startAt])
    await sql.run(`DELETE FROM ${table} WHERE start_at = ? AND endpoint_id <= ?`, [
      startAt,
      last.endpoint_id as StoredId
    ])
    return first.length
  })
}
