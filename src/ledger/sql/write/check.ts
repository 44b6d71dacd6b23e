// Owns the audit of counts and roll-ups: they are computed again from the session rows, compared, and repaired.
import type { StoredId } from '../../../mcp/stored-ids.js'
import type { EpochMs } from '../../../util/time.js'
import { bucketAt, closedClasses, type EndpointDelta, OPEN_CLASS, RollupDelta } from '../../model/rollup.js'
import type { Database, Row, Sql } from '../sql-database.js'
import { limitTo } from '../statements.js'
import { lockEndpoints } from './endpoint-locks.js'
import { horizonOf } from './retention.js'
import { rollupTables, saveDeltas } from './rollup-rows.js'

/** Sessions read at a time. Chosen: the memory needed must not grow with the history. */
const PAGE_ROWS = 5_000

/** A stored figure that differs from what the rows say. */
export interface Difference {
  endpointId: StoredId
  /** `connect_num` or another column of the count, or the table, start and column of a roll-up. */
  figure: string
  /** What the rows say, less the stored figure. */
  off: number
}

/**
 * Compares the counts and the roll-ups with the rows, each endpoint in a snapshot of its own. Figures of times whose rows
 * or roll-ups retention may have deleted are left out: nothing can tell whether they are right. `onCompared` is called for each
 * endpoint.
 */
export async function* check(
  db: Database,
  onCompared: () => void = () => undefined
): AsyncGenerator<Difference> {
  // Every id sorts after the empty text.
  let endpointId = await db.read(sql => endpointAfter(sql, ''))
  while (endpointId !== undefined) {
    const [id, off] = [endpointId, new RollupDelta()]
    await db.read(sql => addDifference(sql, id, off))
    yield* differences(id, off.endpoint(id))
    onCompared()
    endpointId = await db.read(sql => endpointAfter(sql, id))
  }
}

/** Corrects the figures of these endpoints, in one transaction. `now` becomes `updated_at` of the counts that change. */
export async function repair(
  db: Pick<Database, 'write'>,
  endpointIds: readonly StoredId[],
  now: EpochMs
): Promise<void> {
  await db.write(async sql => {
    await lockEndpoints(sql, now, endpointIds, endpointIds)
    const off = new RollupDelta()
    for (const endpointId of endpointIds) await addDifference(sql, endpointId, off)
    await saveDeltas(sql, off, now)
  })
}

/** The next endpoint that any table knows: one look into an index of each. */
async function endpointAfter(sql: Sql, endpointId: StoredId): Promise<StoredId | undefined> {
  const tables = ['endpoint_connections_v2', 'endpoint_logs_v2', ...rollupTables.map(({ table }) => table)]
  const next = tables.map(table => `SELECT MIN(endpoint_id) AS next_id FROM ${table} WHERE endpoint_id > ?`)
  const [row] = await sql.all(
    `SELECT MIN(next_id) AS next_id FROM (${next.join(' UNION ALL ')}) AS found`,
    tables.map(() => endpointId)
  )
  return (row?.next_id as StoredId | null) ?? undefined
}

/** Adds to `off` what the rows say of an endpoint, less what its count and roll-ups say. */
async function addDifference(sql: Sql, endpointId: StoredId, off: RollupDelta): Promise<void> {
  for (const c of [OPEN_CLASS, ...closedClasses]) {
    for await (const row of rowsOfClass(sql, endpointId, c)) {
      const [connectAt, disconnectAt] = [row.connect_at as EpochMs, row.disconnect_at as EpochMs]
      // Which reason it is does not matter here, only whether there is one.
      const reason = c === OPEN_CLASS ? null : 'gone'
      off.change(undefined, { endpointId, connectAt, disconnectAt, reason, conversation: null })
    }
  }
  const delta = off.endpoint(endpointId)
  const [open] = await sql.all(
    'SELECT COUNT(conversation) AS grouped_num, COUNT(DISTINCT conversation) AS conversation_num FROM endpoint_logs_v2 WHERE endpoint_id = ? AND duration_class = ?',
    [endpointId, OPEN_CLASS]
  )
  delta.groupedNum += Number(open!.grouped_num)
  delta.conversationNum += Number(open!.conversation_num)
  for (const row of await sql.all(
    'SELECT connect_num, opened_num, grouped_num, conversation_num FROM endpoint_connections_v2 WHERE endpoint_id = ?',
    [endpointId]
  )) {
    delta.connectNum -= Number(row.connect_num)
    delta.openedNum -= Number(row.opened_num)
    delta.groupedNum -= Number(row.grouped_num)
    delta.conversationNum -= Number(row.conversation_num)
  }
  const horizon = await horizonOf(sql, 'rows')
  // It counts deleted rows too, so that it may only be too low.
  if (horizon > 0) delta.openedNum = Math.max(0, delta.openedNum)
  const rollupsFrom = Math.max(horizon, await horizonOf(sql, 'rollups'))
  for (const { table, bucketsOf } of rollupTables) {
    const buckets = bucketsOf(delta)
    const statement = `SELECT start_at, opened, closed, net_at_start FROM ${table} WHERE endpoint_id = ?`
    for (const row of await sql.all(statement, [endpointId])) {
      const bucket = bucketAt(buckets, row.start_at as EpochMs)
      bucket.opened -= Number(row.opened)
      bucket.closed -= Number(row.closed)
      bucket.netAtStart -= Number(row.net_at_start)
    }
    for (const start of buckets.keys()) if (start < rollupsFrom) buckets.delete(start)
  }
}

async function* rowsOfClass(sql: Sql, endpointId: StoredId, c: number): AsyncGenerator<Row> {
  const { time } = sql.dialect
  let [connectAt, id] = [0, 0]
  for (;;) {
    const page = await sql.all(
      'SELECT id, connect_at, disconnect_at FROM endpoint_logs_v2 WHERE endpoint_id = ? AND duration_class = ? ' +
        `AND connect_at >= ? AND (connect_at > ? OR id > ?) ORDER BY connect_at, id ${limitTo(PAGE_ROWS)}`,
      [endpointId, c, time(connectAt), time(connectAt), id]
    )
    yield* page
    const last = page.at(-1)
    if (!last || page.length < PAGE_ROWS) return
    ;[connectAt, id] = [last.connect_at as EpochMs, last.id as number]
  }
}

function* differences(endpointId: StoredId, delta: EndpointDelta): Generator<Difference> {
  if (delta.connectNum !== 0) yield { endpointId, figure: 'connect_num', off: delta.connectNum }
  if (delta.openedNum !== 0) yield { endpointId, figure: 'opened_num', off: delta.openedNum }
  if (delta.groupedNum !== 0) yield { endpointId, figure: 'grouped_num', off: delta.groupedNum }
  if (delta.conversationNum !== 0)
    yield { endpointId, figure: 'conversation_num', off: delta.conversationNum }
  for (const { table, bucketsOf } of rollupTables) {
    for (const [start, bucket] of bucketsOf(delta)) {
      for (const [column, off] of Object.entries(bucket) as [string, number][]) {
        if (off !== 0)
          yield { endpointId, figure: `${table} ${new Date(start).toISOString()} ${column}`, off }
      }
    }
  }
}
