// Owns the meanings of DESIGN's queries, computed the obvious way from rows: the oracle of the store's tests.
import type { SessionsQuery, SeriesPoint, SeriesQuery, SessionRow } from '../../src/ledger/store-port.js'

type Span = Pick<SessionRow, 'id' | 'endpointId' | 'transport' | 'connectAt' | 'disconnectAt' | 'reason'> & {
  upstream?: string | null
}

export const openAt = (row: Span, at: number): boolean =>
  row.connectAt <= at && (row.reason === null || row.disconnectAt > at)

/** The order of databases, which is not JavaScript's. */
export const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

export function bruteConnections<Row extends Span>(
  rows: readonly Row[],
  query: Omit<SessionsQuery, 'limit'>
): Row[] {
  return rows
    .filter(row => query.endpointId === undefined || row.endpointId === query.endpointId)
    .filter(row => query.transport === undefined || row.transport === query.transport)
    .filter(row => query.upstream === undefined || row.upstream === query.upstream)
    .filter(row => query.open === undefined || query.open === (row.reason === null))
    .filter(row => row.connectAt <= query.end && (row.reason === null || row.disconnectAt > query.start))
    .sort((a, b) => b.connectAt - a.connectAt || b.id - a.id)
}

export function bruteSeries(
  rows: readonly Span[],
  endpointIds: readonly string[],
  query: SeriesQuery
): SeriesPoint[] {
  const points: SeriesPoint[] = []
  for (const endpointId of endpointIds.toSorted(byBytes)) {
    const own = rows.filter(row => row.endpointId === endpointId)
    for (let time = query.start; time <= query.end; time += 60_000) {
      const within = (at: number): boolean => at >= time && at < time + 60_000
      const opened = own.filter(row => within(row.connectAt))
      const closed = own.filter(row => row.reason !== null && within(row.disconnectAt))
      const level = (at: number): number => own.filter(row => openAt(row, at)).length
      const instants = [time, ...opened.map(row => row.connectAt)]
      points.push({
        time,
        endpointId,
        connectNum: level(time),
        opened: opened.length,
        closed: closed.length,
        peak: query.peak ? Math.max(...instants.map(level)) : null
      })
    }
  }
  return points
}
