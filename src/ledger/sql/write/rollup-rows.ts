// Owns writing counts and roll-ups: what a transaction changed is added to the rows of endpoints, minutes and days.
import { compareIds, type StoredId } from '../../../mcp/stored-ids.js'
import type { EpochMs } from '../../../util/time.js'
import type { Bucket, EndpointDelta, RollupDelta } from '../../model/rollup.js'
import type { Dialect, Param, Sql } from '../sql-database.js'
import { insertMany, limitTo } from '../statements.js'

/** The tables of roll-ups, and which buckets of a delta belong into each. */
export const rollupTables: readonly {
  table: string
  bucketsOf: (delta: EndpointDelta) => Map<EpochMs, Bucket>
}[] = [
  { table: 'endpoint_minutes_v2', bucketsOf: delta => delta.minutes },
  { table: 'endpoint_days_v2', bucketsOf: delta => delta.days }
]

/** All tables by `start_at` and `endpoint_id` that retention empties. */
export const bucketTables: readonly string[] = [
  ...rollupTables.map(({ table }) => table),
  'endpoint_tools_v2'
]

/** Buckets of a roll-up table deleted in one transaction. Chosen larger than for rows, because a range of a key is deleted at once. */
export const BATCH_BUCKETS = 2_000

const COUNTS = ['connect_num', 'opened_num', 'grouped_num', 'conversation_num']
const BUCKET_KEY = ['start_at', 'endpoint_id']
const BUCKET_SUMS = ['opened', 'closed', 'net_at_start']
const BUCKET_COLUMNS = [...BUCKET_KEY, ...BUCKET_SUMS]

/** Adds a delta to counts and roll-ups. `now` becomes `updated_at` of the counts that change. */
export async function saveDeltas(sql: Sql, delta: RollupDelta, now: EpochMs): Promise<void> {
  const { dialect } = sql
  const endpoints = [...delta.endpoints].sort(([a], [b]) => compareIds(a, b))
  await insertMany(
    sql,
    'endpoint_connections_v2',
    ['endpoint_id', ...COUNTS, 'updated_at'],
    endpoints
      .map(([id, d]) => [id, d.connectNum, d.openedNum, d.groupedNum, d.conversationNum] as const)
      .filter(([, ...sums]) => sums.some(sum => sum !== 0))
      .map(row => [...row, dialect.time(now)]),
    dialect.onConflict(['endpoint_id'], ['updated_at'], COUNTS)
  )
  for (const { table, bucketsOf } of rollupTables) {
    const rows = endpoints.flatMap(([id, d]) =>
      [...bucketsOf(d)].flatMap(([start, b]) => bucketRow(dialect, id, start, b))
    )
    await insertMany(sql, table, BUCKET_COLUMNS, rows, dialect.onConflict(BUCKET_KEY, [], BUCKET_SUMS))
  }
}

/** One row for a bucket that changes, none for a bucket whose changes cancel out. */
function bucketRow(dialect: Dialect, endpointId: StoredId, start: EpochMs, bucket: Bucket): Param[][] {
  const { opened, closed, netAtStart } = bucket
  if (opened === 0 && closed === 0 && netAtStart === 0) return []
  return [[dialect.time(start), endpointId, opened, closed, netAtStart]]
}

/** Deletes what the roll-ups have of an endpoint, at most a batch of each table; whether there may be more. */
export async function deleteBucketsOf(sql: Sql, endpointId: StoredId): Promise<boolean> {
  let mayBeMore = false
  for (const table of bucketTables) {
    const first = await sql.all(
      `SELECT start_at FROM ${table} WHERE endpoint_id = ? ORDER BY start_at ${limitTo(BATCH_BUCKETS)}`,
      [endpointId]
    )
    const last = first.at(-1)
    if (!last) continue
    const startAt = sql.dialect.time(last.start_at as EpochMs)
    await sql.run(`DELETE FROM ${table} WHERE endpoint_id = ? AND start_at <= ?`, [endpointId, startAt])
    mayBeMore ||= first.length === BATCH_BUCKETS
  }
  return mayBeMore
}
