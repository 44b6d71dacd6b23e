// Owns a store reader over rows in memory that answers by brute force: what the tests of admin/ ask.
import type {
  Census,
  FeedPart,
  OpenCounts,
  PrincipalRow,
  PrincipalsQuery,
  SeriesPoint,
  SeriesQuery,
  SessionRow,
  SessionsFilter,
  StoreReader,
  ToolUsage,
  ToolUsageQuery,
  Totals
} from '../../src/ledger/store-port.js'
import { bruteConnections, bruteOpenCounts, brutePrincipals, bruteSeries, isAsked } from './brute-force.js'

const CHUNK_POINTS = 100

export class MemoryStore implements StoreReader {
  /** Series under way. */
  seriesRunning = 0
  readonly rows: readonly SessionRow[]
  instances: StoreReader['instances'] = () => Promise.resolve([])

  constructor(rows: readonly SessionRow[] = []) {
    this.rows = rows
  }

  /** It has none. */
  toolUsage: (query: ToolUsageQuery) => Promise<ToolUsage[]> = () => Promise.resolve([])

  connections(query: Parameters<StoreReader['connections']>[0]): Promise<SessionRow[]> {
    const { after, limit } = query
    const behind = (row: SessionRow) =>
      !after || row.connectAt < after.connectAt || (row.connectAt === after.connectAt && row.id < after.id)
    return Promise.resolve(bruteConnections(this.rows, query).filter(behind).slice(0, limit))
  }

  session(sessionId: string): Promise<SessionRow[]> {
    return Promise.resolve(this.rows.filter(row => row.sessionId === sessionId))
  }

  legacySessions(sessionIds: readonly string[]) {
    const found = this.rows.filter(row => row.transport === 1 && sessionIds.includes(row.sessionId))
    return Promise.resolve(found.map(row => ({ ...row, isOpen: row.reason === null })))
  }

  counts({ endpointId, ...filter }: SessionsFilter) {
    const ids = endpointId === undefined ? new Set(this.rows.map(row => row.endpointId)) : [endpointId]
    return Promise.resolve(
      [...ids].map(id => ({
        endpointId: id,
        connectNum: bruteOpenCounts(this.rows, { ...filter, endpointId: id }).openNum
      }))
    )
  }

  openCounts(filter: SessionsFilter): Promise<OpenCounts> {
    return Promise.resolve(bruteOpenCounts(this.rows, filter))
  }

  principals({ endpointId, limit, after }: PrincipalsQuery): Promise<PrincipalRow[]> {
    const all = brutePrincipals(this.rows, endpointId).map((row, i) => ({ ...row, id: 1_000 - i }))
    const first = after === undefined ? 0 : all.findIndex(({ id }) => id < after.id)
    return Promise.resolve(first === -1 ? [] : all.slice(first, first + limit))
  }

  async liveCounts() {
    return { appliedOffset: 0, counts: await this.counts({}) }
  }

  upstreams: StoreReader['upstreams'] = () => Promise.resolve([])

  upstreamOrders() {
    return Promise.resolve({ drained: [], reported: [] })
  }

  upstreamCounts() {
    const open = this.rows.filter(row => row.reason === null && row.upstream !== null)
    const names = [...new Set(open.map(row => row.upstream!))]
    return Promise.resolve({
      appliedOffset: 0,
      counts: names.map(upstream => ({
        upstream,
        connectNum: open.filter(row => row.upstream === upstream).length
      }))
    })
  }

  principalSessions({ principal, limit }: Parameters<StoreReader['principalSessions']>[0]) {
    const open = this.rows.filter(
      row => row.reason === null && row.transport !== 3 && row.principal === principal.name
    )
    const rows = open.toSorted((a, b) => a.connectAt - b.connectAt || a.id - b.id).slice(0, limit)
    return Promise.resolve({ openNum: open.length, rows, appliedOffset: 0 })
  }

  totals(filter: SessionsFilter): Promise<Totals> {
    const { openNum } = bruteOpenCounts(this.rows, filter)
    return Promise.resolve({ openNum, openedNum: this.rows.filter(row => isAsked(row, filter)).length })
  }

  async snapshot(query: Parameters<StoreReader['connections']>[0]) {
    return {
      rows: await this.connections(query),
      totals: await this.totals(query),
      open: await this.openCounts(query)
    }
  }

  busiest(): Promise<string[]> {
    return Promise.resolve([...new Set(this.rows.map(row => row.endpointId))])
  }

  census(): Promise<Census> {
    const open = this.rows.filter(row => row.reason === null)
    return Promise.resolve({ open: open.map(row => ({ ...row, openNum: 1 })), endpointNum: 1, drift: 0 })
  }

  feed(): Promise<FeedPart> {
    return Promise.resolve({ position: 0, changes: [] })
  }

  events: StoreReader['events'] = () =>
    Promise.resolve({ events: [], start: '0-0', position: '0-0', more: false })

  eventsEnd: StoreReader['eventsEnd'] = () => Promise.resolve('0-0')

  async *series(query: SeriesQuery): AsyncGenerator<SeriesPoint[]> {
    const endpoints = await this.counts(
      query.endpointId === undefined ? {} : { endpointId: query.endpointId }
    )
    const points = bruteSeries(
      this.rows,
      endpoints.map(({ endpointId }) => endpointId),
      query
    )
    this.seriesRunning++
    try {
      for (let i = 0; i < points.length; i += CHUNK_POINTS) yield points.slice(i, i + CHUNK_POINTS)
    } finally {
      this.seriesRunning--
    }
  }
}
