// Owns the ledger's invariant as a stranger checks it over HTTP: counts and minute series equal the rows.
import type { Test } from 'tap'
import { bruteSeries } from './brute-force.js'
import type { SeriesPointJson, Turnstile } from './turnstile.js'

const MINUTE = 60_000

/** Checks every endpoint's count, and the series of the last `minutes` minutes, against all rows. At rest only. */
export async function checkInvariant(t: Test, turnstile: Turnstile, minutes = 10): Promise<void> {
  const rows = (await turnstile.connections()).map(row => ({
    id: row.id,
    endpointId: row.endpoint_id,
    transport: row.transport_type as 1 | 2 | 3,
    connectAt: Date.parse(row.connect_at),
    disconnectAt: Date.parse(row.disconnect_at),
    reason: row.reason as 'delete' | null
  }))
  const endpointIds = [...new Set(rows.map(row => row.endpointId))].sort()
  for (const endpointId of endpointIds) {
    const open = rows.filter(row => row.endpointId === endpointId && row.reason === null)
    t.equal(
      await turnstile.count(endpointId),
      open.length,
      `connect_num of ${endpointId} equals its open rows`
    )
    t.ok(
      open.every(row => row.connectAt === row.disconnectAt),
      'disconnect_at = connect_at while open'
    )
  }
  const end = Math.floor(Date.now() / MINUTE) * MINUTE
  const start = end - minutes * MINUTE
  const points = await turnstile.query<SeriesPointJson[]>(
    `/api/connections/time-series?start_time=${start}&end_time=${end}`
  )
  const expected = bruteSeries(rows, endpointIds, { start, end, peak: true }).map(point => ({
    time: new Date(point.time).toISOString(),
    endpoint_id: point.endpointId,
    connect_num: point.connectNum,
    opened: point.opened,
    closed: point.closed,
    peak: point.peak
  }))
  t.strictSame(points, expected, 'the minute series equals the rows')
}
