// Owns the meanings of DESIGN's queries, computed the obvious way from rows: the oracle of the store's tests.
import type {
  OpenCounts,
  PrincipalRow,
  SeriesPoint,
  SeriesQuery,
  SessionRow,
  SessionsFilter,
  SessionsQuery
} from '../../src/ledger/store-port.js'

type Span = Pick<SessionRow, 'id' | 'endpointId' | 'transport' | 'connectAt' | 'disconnectAt' | 'reason'> &
  Partial<Pick<SessionRow, 'upstream' | 'principal' | 'conversation'>>

export const openAt = (row: Span, at: number): boolean =>
  row.connectAt <= at && (row.reason === null || row.disconnectAt > at)

/** The order of databases, which is not JavaScript's. */
export const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

export const isAsked = (row: Span, filter: SessionsFilter): boolean =>
  (['endpointId', 'transport', 'upstream', 'principal', 'conversation'] as const).every(
    name => filter[name] === undefined || row[name] === filter[name]
  )

export function bruteOpenCounts(rows: readonly Span[], filter: SessionsFilter = {}): OpenCounts {
  const open = rows.filter(row => row.reason === null && isAsked(row, filter))
  const different = (keyOf: (row: Span) => string | null | undefined): number =>
    new Set(open.map(row => keyOf(row) ?? row)).size
  return {
    openNum: open.length,
    principalNum: different(row => row.principal),
    conversationNum: different(row => row.conversation && `${row.endpointId}\n${row.conversation}`)
  }
}

/** All principals, the busiest first; those that are as busy by their names. */
export function brutePrincipals(
  rows: readonly SessionRow[],
  endpointId?: string
): Omit<PrincipalRow, 'id'>[] {
  const asked = rows.filter(row => endpointId === undefined || row.endpointId === endpointId)
  const names = [...new Set(asked.flatMap(({ principal }) => principal ?? []))].sort(byBytes)
  return names
    .map(principal => {
      const own = asked.filter(row => row.principal === principal)
      return {
        principal,
        kind: own[0]!.principalKind,
        activeNum: own.filter(({ reason }) => reason === null).length,
        sessionNum: own.length,
        requestNum: own.reduce((sum, { requestCount }) => sum + requestCount, 0),
        lastSeenAt: Math.max(...own.map(row => row.lastSeenAt)),
        endpointIds: [...new Set(own.map(row => row.endpointId))].sort(byBytes)
      }
    })
    .sort((a, b) => b.activeNum - a.activeNum || b.sessionNum - a.sessionNum)
}

export function bruteConnections<Row extends Span>(
  rows: readonly Row[],
  query: Omit<SessionsQuery, 'limit'>
): Row[] {
  return rows
    .filter(row => isAsked(row, query))
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
