// Owns the state of gateways as all proxies of a store together see it.
import { OPEN_CLASS } from '../../model/rollup.js'
import type { UpstreamOrders, UpstreamState } from '../../store-port.js'
import type { Database, Row } from '../sql-database.js'

/** `StoreReader.upstreams`. */
export async function upstreams(db: Database): Promise<UpstreamState[]> {
  const [reports, drains, counts, instances] = await db.read(async sql => [
    await sql.all('SELECT * FROM turnstile_upstreams ORDER BY name, reported_at'),
    await sql.all('SELECT name FROM turnstile_upstream_drains'),
    await sql.all(
      'SELECT upstream, COUNT(*) AS connect_num FROM endpoint_logs_v2 WHERE duration_class = ? AND upstream IS NOT NULL GROUP BY upstream',
      [OPEN_CLASS]
    ),
    await sql.all('SELECT id, heartbeat_at, lost_at FROM turnstile_instances')
  ])
  const living = new Set(instances.filter(row => row.lost_at !== row.heartbeat_at).map(row => row.id))
  const drained = new Set(drains.map(row => row.name))
  const openNum = new Map(counts.map(row => [row.upstream, Number(row.connect_num)]))
  const all = [...new Set(reports.map(row => row.name as string))].map(name => {
    const ofName = reports.filter(row => row.name === name)
    const told = ofName.filter(row => living.has(row.instance_id))
    // One that does not have it tells no URL.
    const url = ofName.findLast(row => row.url !== '')?.url ?? ''
    const state = stateOf(name, url as string, told)
    const connectNum = openNum.get(name) ?? 0
    const isDraining = drained.has(name)
    // An instance that has not told yet may still send new work there.
    const allKnow = told.filter(row => Number(row.is_draining) === 1).length === living.size
    const getsNothing = isDraining ? allKnow : !state.isListed
    const isIdle = connectNum + state.requests + state.streams + sum(told, 'session_num') === 0
    return { state: { ...state, isDraining, connectNum }, isUnused: getsNothing && isIdle }
  })
  // A gateway that got another name has sessions under both.
  const inUse = new Set(all.flatMap(({ state, isUnused }) => (isUnused ? [] : [state.url])))
  return all
    .map(({ state, isUnused }) => ({
      ...state,
      isSafeToStop: state.isDraining && isUnused && (state.url === '' || !inUse.has(state.url))
    }))
    .filter(
      ({ isListed, isDraining, connectNum, requests, streams }) =>
        isListed || isDraining || connectNum + requests + streams > 0
    )
}

/** `StoreReader.upstreamOrders`: one small statement, as every instance asks this once a second. */
export async function upstreamOrders(
  db: Database,
  { instanceId }: { instanceId: string }
): Promise<UpstreamOrders> {
  const rows = await db.read(sql =>
    sql.all(
      'SELECT name, 1 AS is_order FROM turnstile_upstream_drains UNION ALL SELECT name, 0 FROM turnstile_upstreams WHERE instance_id = ?',
      [instanceId]
    )
  )
  const named = (isOrder: number): string[] =>
    rows.filter(row => Number(row.is_order) === isOrder).map(row => row.name as string)
  return { drained: named(1), reported: named(0) }
}

function stateOf(name: string, url: string, told: readonly Row[]) {
  const failing = told.flatMap(row => (row.failing_since === null ? [] : [Number(row.failing_since)]))
  return {
    name,
    url,
    isListed: told.some(row => Number(row.is_listed) === 1),
    requests: sum(told, 'request_num'),
    streams: sum(told, 'stream_num'),
    failingSince: failing.length === 0 ? null : Math.min(...failing)
  }
}

const sum = (rows: readonly Row[], column: string): number =>
  rows.reduce((total, row) => total + Number(row[column]), 0)
