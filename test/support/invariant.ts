// Owns the ledger's invariant as a stranger checks it over HTTP: counts and minute series equal the rows.
import type { Test } from 'tap'
import { bruteSeries } from './brute-force.js'
import type { ConnectionJson, SeriesPointJson, Turnstile } from './turnstile.js'

const MINUTE = 60_000

/** Checks every endpoint's count, and the series of the last `minutes` minutes, against all rows. At rest only. */
export async function checkInvariant(t: Test, turnstile: Turnstile, minutes = 10): Promise<void> {
  const rows = await turnstile.connections()
  const endpointIds = [...new Set(rows.map(row => row.endpoint_id))].sort()
  for (const endpointId of endpointIds) {
    const open = rows.filter(row => row.endpoint_id === endpointId && row.reason === null)
    t.equal(
      await turnstile.count(endpointId),
      open.length,
      `connect_num of ${endpointId} equals its open rows`
    )
    t.ok(
      open.every(row => row.connect_at === row.disconnect_at),
      'disconnect_at = connect_at while open'
    )
  }
  const end = Math.floor(Date.now() / MINUTE) * MINUTE
  const start = end - minutes * MINUTE
  const points = await turnstile.query<SeriesPointJson[]>(
    `/api/connections/time-series?start_time=${start}&end_time=${end}`
  )
  t.strictSame(points, seriesOf(rows, endpointIds, start, end), 'the minute series equals the rows')
}

/** The minute series that the rows of these endpoints give, counted one by one. */
export function seriesOf(
  rows: readonly ConnectionJson[],
  ids: readonly string[],
  start: number,
  end: number
): SeriesPointJson[] {
  const spans = rows.map(row => ({
    id: row.id,
    endpointId: row.endpoint_id,
    transport: row.transport_type as 1 | 2 | 3,
    connectAt: Date.parse(row.connect_at),
    disconnectAt: Date.parse(row.disconnect_at),
    reason: row.reason as 'delete' | null
  }))
  return bruteSeries(spans, ids, { start, end, peak: true }).map(point => ({
    time: new Date(point.time).toISOString(),
    endpoint_id: point.endpointId,
    connect_num: point.connectNum,
    opened: point.opened,
    closed: point.closed,
    peak: point.peak
  }))
}
