// Owns the audit of counts and roll-ups: what they should say is computed again from the rows, and put right.
import { bucketAt, closedClasses, type EndpointDelta, OPEN_CLASS, RollupDelta } from '../../model/rollup.js'
import type { Database, Row, Sql } from '../sql-database.js'
import { lockEndpoints } from './endpoint-locks.js'
import { rowsFrom } from './retention.js'
import { rollupTables, saveDeltas } from './rollup-rows.js'

const PAGE_ROWS = 5_000

/** A stored figure that is not what the rows say; `off`: the rows' figure less the stored one. */
export interface Difference {
  endpointId: string
  /** `connect_num`, `opened_num`, or the table, start and column of a roll-up. */
  figure: string
  off: number
}

/**
 * Compares the counts and the roll-ups with the rows, one endpoint a snapshot. What speaks of a time whose rows
 * retention may have deleted is left out: nothing can tell.
 */
export async function* check(db: Database): AsyncGenerator<Difference> {
  let endpointId = await db.read(sql => endpointAfter(sql, ''))
  while (endpointId !== undefined) {
    const [id, off] = [endpointId, new RollupDelta()]
    await db.read(sql => addDifference(sql, id, off))
    yield* differences(id, off.endpoint(id))
    endpointId = await db.read(sql => endpointAfter(sql, id))
  }
}

/** Puts the figures of these endpoints right, in one transaction. */
export async function repair(
  db: Pick<Database, 'write'>,
  endpointIds: readonly string[],
  now: number
): Promise<void> {
  await db.write(async sql => {
    await lockEndpoints(sql, now, endpointIds, endpointIds)
    const off = new RollupDelta()
    for (const endpointId of endpointIds) await addDifference(sql, endpointId, off)
    await saveDeltas(sql, off, now)
  })
}

/** The next endpoint that any table knows: one look into an index of each. */
async function endpointAfter(sql: Sql, endpointId: string): Promise<string | undefined> {
  const tables = ['endpoint_connections_v2', 'endpoint_logs_v2', ...rollupTables.map(({ table }) => table)]
  const next = tables.map(table => `SELECT MIN(endpoint_id) AS next_id FROM ${table} WHERE endpoint_id > ?`)
  const [row] = await sql.all(
    `SELECT MIN(next_id) AS next_id FROM (${next.join(' UNION ALL ')}) AS found`,
    tables.map(() => endpointId)
  )
  return (row?.next_id as string | null) ?? undefined
}

/** Adds what the rows say of an endpoint, less what its count and roll-ups say. */
async function addDifference(sql: Sql, endpointId: string, off: RollupDelta): Promise<void> {
  for (const c of [OPEN_CLASS, ...closedClasses]) {
    for await (const row of rowsOfClass(sql, endpointId, c)) {
      const [connectAt, disconnectAt] = [row.connect_at as number, row.disconnect_at as number]
      // Which reason it is does not matter here, only whether there is one.
      off.change(undefined, { endpointId, connectAt, disconnectAt, reason: c === OPEN_CLASS ? null : 'gone' })
    }
  }
  const delta = off.endpoint(endpointId)
  for (const row of await sql.all(
    'SELECT connect_num, opened_num FROM endpoint_connections_v2 WHERE endpoint_id = ?',
    [endpointId]
  )) {
    delta.connectNum -= Number(row.connect_num)
    delta.openedNum -= Number(row.opened_num)
  }
  const horizon = await rowsFrom(sql)
  // It counts deleted rows too, so that it may only be too low.
  if (horizon > 0) delta.openedNum = Math.max(0, delta.openedNum)
  for (const { table, bucketsOf } of rollupTables) {
    const buckets = bucketsOf(delta)
    const statement = `SELECT start_at, opened, closed, net_at_start FROM ${table} WHERE endpoint_id = ?`
    for (const row of await sql.all(statement, [endpointId])) {
      const bucket = bucketAt(buckets, row.start_at as number)
      bucket.opened -= Number(row.opened)
      bucket.closed -= Number(row.closed)
      bucket.netAtStart -= Number(row.net_at_start)
    }
    for (const start of buckets.keys()) if (start < horizon) buckets.delete(start)
  }
}

async function* rowsOfClass(sql: Sql, endpointId: string, c: number): AsyncGenerator<Row> {
  const { time } = sql.dialect
  let [connectAt, id] = [0, 0]
  for (;;) {
    const page = await sql.all(
      'SELECT id, connect_at, disconnect_at FROM endpoint_logs_v2 WHERE endpoint_id = ? AND duration_class = ? ' +
        'AND connect_at >= ? AND (connect_at > ? OR id > ?) ORDER BY connect_at, id LIMIT ?',
      [endpointId, c, time(connectAt), time(connectAt), id, String(PAGE_ROWS)]
    )
    yield* page
    const last = page.at(-1)
    if (!last || page.length < PAGE_ROWS) return
    ;[connectAt, id] = [last.connect_at as number, last.id as number]
  }
}

function* differences(endpointId: string, delta: EndpointDelta): Generator<Difference> {
  if (delta.connectNum !== 0) yield { endpointId, figure: 'connect_num', off: delta.connectNum }
  if (delta.openedNum !== 0) yield { endpointId, figure: 'opened_num', off: delta.openedNum }
  for (const { table, bucketsOf } of rollupTables) {
    for (const [start, bucket] of bucketsOf(delta)) {
      for (const [column, off] of Object.entries(bucket) as [string, number][]) {
        if (off !== 0)
          yield { endpointId, figure: `${table} ${new Date(start).toISOString()} ${column}`, off }
      }
    }
  }
}
