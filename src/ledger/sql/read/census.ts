// Owns the figures of open sessions now: for metrics, of few endpoints by name, and whether counts and rows agree; and
// for the session limit.
import { Transport } from '../../../mcp/transports.js'
import { OPEN_CLASS } from '../../model/rollup.js'
import type { Census, EndpointCount } from '../../store-port.js'
import { type Database } from '../sql-database.js'
import { marks } from '../statements.js'

/** The endpoints with the most open sessions. */
export async function busiest(db: Database, { limit }: { limit: number }): Promise<string[]> {
  const statement = 'SELECT endpoint_id FROM endpoint_connections_v2 ORDER BY connect_num DESC, id LIMIT ?'
  const rows = await db.read(sql => sql.all(statement, [String(limit)]))
  return rows.map(row => row.endpoint_id as string)
}

/** The counts read the index of open sessions alone. */
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
      endpointId: row.endpoint_id as string,
      connectNum: Number(row.connect_num)
    }))
  }
}

/** Reads the index of open sessions alone. */
export async function census(db: Database, { named }: { named: readonly string[] }): Promise<Census> {
  const label = `CASE WHEN endpoint_id IN (${marks(Math.max(named.length, 1))}) THEN endpoint_id END AS label`
  const params = named.length === 0 ? [''] : named
  const [rows, counted] = await db.read(async sql => [
    await sql.all(
      `SELECT ${label}, transport_type, COUNT(*) AS open_num FROM endpoint_logs_v2 WHERE duration_class = ? GROUP BY label, transport_type`,
      [...params, OPEN_CLASS]
    ),
    await sql.all(
      `SELECT ${label}, SUM(connect_num) AS open_num FROM endpoint_connections_v2 GROUP BY label`,
      params
    )
  ])
  const off = new Map<string | null, number>()
  const add = (endpointId: string | null, by: number): void =>
    void off.set(endpointId, (off.get(endpointId) ?? 0) + by)
  const open = rows.map(row => ({
    endpointId: row.label as string | null,
    transport: Number(row.transport_type) as Transport,
    openNum: Number(row.open_num)
  }))
  open.forEach(({ endpointId, openNum }) => add(endpointId, openNum))
  counted.forEach(row => add(row.label as string | null, -Number(row.open_num)))
  return { open, drift: [...off.values()].reduce((sum, by) => sum + Math.abs(by), 0) }
}
