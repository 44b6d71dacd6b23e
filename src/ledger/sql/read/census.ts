// Owns the counts of open sessions: for metrics (by endpoint for a few named ones, and whether counts and rows agree), and for
// the session limit.
import type { StoredId } from '../../../mcp/stored-ids.js'
import { Transport } from '../../../mcp/transports.js'
import { OPEN_CLASS } from '../../model/rollup.js'
import type { Census, EndpointCount, UpstreamCount } from '../../store-port.js'
import type { Database } from '../sql-database.js'
import { limitTo, marks } from '../statements.js'

/** `StoreReader.busiest`. */
export async function busiest(db: Database, { limit }: { limit: number }): Promise<StoredId[]> {
  const statement = `SELECT endpoint_id FROM endpoint_connections_v2 ORDER BY connect_num DESC, id ${limitTo(limit)}`
  const rows = await db.read(sql => sql.all(statement))
  return rows.map(row => row.endpoint_id as StoredId)
}

/** `StoreReader.liveCounts`. The counts read nothing but the index of open sessions. */
export async function liveCounts(
  db: Database,
  { instanceId }: { instanceId: string }
): Promise<{ appliedOffset: number; counts: EndpointCount[] }> {
  const [open, [instance]] = await db.read(async sql => [
    await sql.all(
      'SELECT endpoint_id, COUNT(*) AS connect_num FROM endpoint_logs_v2 WHERE duration_class = ? AND transport_type <> ? GROUP BY endpoint_id',
      [OPEN_CLASS, Transport.sessionless]
    ),
    await sql.all('SELECT applied_seq FROM turnstile_instances WHERE id = ?', [instanceId])
  ])
  return {
    appliedOffset: Number(instance?.applied_seq ?? 0),
    counts: open.map(row => ({
      endpointId: row.endpoint_id as StoredId,
      connectNum: Number(row.connect_num)
    }))
  }
}

/** `StoreReader.upstreamCounts`. It reads nothing but an index. */
export async function upstreamCounts(
  db: Database,
  { instanceId }: { instanceId: string }
): Promise<{ appliedOffset: number; counts: UpstreamCount[] }> {
  const [open, [instance]] = await db.read(async sql => [
    await sql.all(
      'SELECT upstream, COUNT(*) AS connect_num FROM endpoint_logs_v2 WHERE duration_class = ? AND upstream IS NOT NULL GROUP BY upstream',
      [OPEN_CLASS]
    ),
    await sql.all('SELECT applied_seq FROM turnstile_instances WHERE id = ?', [instanceId])
  ])
  return {
    appliedOffset: Number(instance?.applied_seq ?? 0),
    counts: open.map(row => ({ upstream: row.upstream as string, connectNum: Number(row.connect_num) }))
  }
}

/** `StoreReader.census`. It reads nothing but the index of open sessions and the counts. */
export async function census(db: Database, { named }: { named: readonly StoredId[] }): Promise<Census> {
  // A list in SQL has one item at least; no id equals NULL.
  const params = named.length === 0 ? [null] : named
  const label = `CASE WHEN endpoint_id IN (${marks(params.length)}) THEN endpoint_id END AS label`
  const [rows, counted] = await db.read(async sql => [
    await sql.all(
      `SELECT ${label}, transport_type, upstream, COUNT(*) AS open_num FROM endpoint_logs_v2 WHERE duration_class = ? GROUP BY label, transport_type, upstream`,
      [...params, OPEN_CLASS]
    ),
    await sql.all(
      `SELECT ${label}, SUM(connect_num) AS open_num, COUNT(*) AS endpoint_num FROM endpoint_connections_v2 GROUP BY label`,
      params
    )
  ])
  const off = new Map<StoredId | null, number>()
  const add = (endpointId: StoredId | null, by: number): void =>
    void off.set(endpointId, (off.get(endpointId) ?? 0) + by)
  const open = rows.map(row => ({
    endpointId: row.label as StoredId | null,
    transport: Number(row.transport_type) as Transport,
    upstream: row.upstream as string | null,
    openNum: Number(row.open_num)
  }))
  open.forEach(({ endpointId, openNum }) => add(endpointId, openNum))
  counted.forEach(row => add(row.label as StoredId | null, -Number(row.open_num)))
  const endpointNum = counted.reduce((sum, row) => sum + Number(row.endpoint_num), 0)
  return { open, endpointNum, drift: [...off.values()].reduce((sum, by) => sum + Math.abs(by), 0) }
}
