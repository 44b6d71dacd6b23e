// Owns writing the uses of tools: sums by hour, endpoint and tool, of a bounded number of tools.
import { compareIds, type StoredId } from '../../../mcp/stored-ids.js'
import type { ToolEvent } from '../../../sessions/events.js'
import { OTHER_TOOL } from '../../../sessions/tool-uses.js'
import { type EpochMs, HOUR_MS } from '../../../util/time.js'
import { floorTo } from '../../model/rollup.js'
import type { Sql } from '../sql-database.js'
import { insertMany, marks, runs } from '../statements.js'

/** Tools of an endpoint that have a row of their own in an hour, the first ones; issue 18 sets it. */
const MAX_TOOLS = 200

const KEY = ['start_at', 'endpoint_id', 'tool']
const SUMS = ['calls', 'errors', 'duration_sum_ms']
const MAXIMA = ['duration_max_ms']

type Sums = Omit<ToolEvent, 'type'>

/** Adds uses to the rows of their tools; the counts of the endpoints must be locked. */
export async function addToolUses(sql: Sql, events: readonly ToolEvent[]): Promise<void> {
  const hours = [...new Set(events.map(hourOf))].sort((a, b) => a - b)
  for (const hour of hours) {
    const uses = events.filter(event => hourOf(event) === hour)
    await addHour(sql, hour, uses)
  }
}

const hourOf = ({ at }: ToolEvent): EpochMs => floorTo(at, HOUR_MS)

async function addHour(sql: Sql, hour: EpochMs, uses: readonly ToolEvent[]): Promise<void> {
  const { time, onConflict } = sql.dialect
  const endpointIds = [...new Set(uses.map(({ endpointId }) => endpointId))].sort(compareIds)
  const known = await toolsOf(sql, hour, endpointIds)
  const sums = new Map<string, Sums>()
  for (const use of uses) {
    const tools = known.get(use.endpointId)!
    const tool = mayHaveRow(use.tool, tools) ? use.tool : OTHER_TOOL
    if (tool !== OTHER_TOOL) tools.add(tool)
    addUse(sums, { ...use, tool })
  }
  const rows = [...sums.values()].sort(
    (a, b) => compareIds(a.endpointId, b.endpointId) || compareIds(a.tool, b.tool)
  )
  await insertMany(
    sql,
    'endpoint_tools_v2',
    [...KEY, ...SUMS, ...MAXIMA],
    rows.map(({ endpointId, tool, calls, errors, durationSumMs, durationMaxMs }) => [
      ...[time(hour), endpointId, tool],
      ...[calls, errors, durationSumMs, durationMaxMs]
    ]),
    onConflict(KEY, [], SUMS, MAXIMA)
  )
}

const mayHaveRow = (tool: string, known: ReadonlySet<string>): boolean =>
  known.has(tool) || known.size < MAX_TOOLS

/** The tools that have a row in this hour, by endpoint, `OTHER_TOOL` left out. */
async function toolsOf(
  sql: Sql,
  hour: EpochMs,
  endpointIds: readonly StoredId[]
): Promise<Map<StoredId, Set<string>>> {
  const tools = new Map(endpointIds.map(endpointId => [endpointId, new Set<string>()]))
  for (const ids of runs(endpointIds)) {
    const rows = await sql.all(
      `SELECT endpoint_id, tool FROM endpoint_tools_v2 WHERE start_at = ? AND endpoint_id IN (${marks(ids.length)})`,
      [sql.dialect.time(hour), ...ids]
    )
    for (const row of rows)
      if (row.tool !== OTHER_TOOL) tools.get(row.endpoint_id as StoredId)!.add(row.tool as string)
  }
  return tools
}

function addUse(sums: Map<string, Sums>, use: Sums): void {
  const key = `${use.endpointId}\n${use.tool}`
  const sum = sums.get(key)
  if (sum === undefined) return void sums.set(key, { ...use })
  sum.calls += use.calls
  sum.errors += use.errors
  sum.durationSumMs += use.durationSumMs
  sum.durationMaxMs = Math.max(sum.durationMaxMs, use.durationMaxMs)
}
