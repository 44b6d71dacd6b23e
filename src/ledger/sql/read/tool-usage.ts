// Owns the query of how tools are used, by hour, by day, or in total.
import type { StoredId } from '../../../mcp/stored-ids.js'
import { DAY_MS, HOUR_MS } from '../../../util/time.js'
import { floorTo } from '../../model/rollup.js'
import type { ToolUsage, ToolUsageQuery } from '../../store-port.js'
import type { Database, Dialect } from '../sql-database.js'
import { limitTo } from '../statements.js'

const SUMS =
  'SUM(calls) AS call_num, SUM(errors) AS error_num, SUM(duration_sum_ms) AS sum_ms, MAX(duration_max_ms) AS max_ms'

/** `StoreReader.toolUsage`. */
export async function toolUsage(db: Database, query: ToolUsageQuery): Promise<ToolUsage[]> {
  const { endpointId, start, end, by, limit } = query
  return await db.read(async sql => {
    const { dialect } = sql
    const isOne = endpointId !== undefined
    const span = periods[by](dialect)
    const rows = await sql.all(
      `SELECT ${span} AS span_at, endpoint_id, tool, ${SUMS} FROM endpoint_tools_v2 ` +
        `WHERE ${isOne ? 'endpoint_id = ? AND ' : ''}start_at >= ? AND start_at <= ? ` +
        `GROUP BY span_at, endpoint_id, tool ORDER BY span_at, call_num DESC, endpoint_id, tool ${limitTo(limit)}`,
      [...(isOne ? [endpointId] : []), dialect.time(floorTo(start, HOUR_MS)), dialect.time(end)]
    )
    return rows.map(row => ({
      startAt: by === 'total' ? null : Number(row.span_at),
      endpointId: row.endpoint_id as StoredId,
      tool: row.tool as string,
      calls: Number(row.call_num),
      errors: Number(row.error_num),
      durationSumMs: Number(row.sum_ms),
      durationMaxMs: Number(row.max_ms)
    }))
  })
}

/** SQL for the start of the period that holds an hour, in epoch milliseconds. */
const periods: Record<ToolUsageQuery['by'], (dialect: Dialect) => string> = {
  hour: ({ epochMs }) => epochMs('start_at'),
  day: ({ epochMs }) => `${epochMs('start_at')} - (${epochMs('start_at')}) % ${DAY_MS}`,
  total: () => '0'
}
