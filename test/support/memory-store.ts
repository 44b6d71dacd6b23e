// Owns a store reader over rows in memory that answers by brute force: what the tests of admin/ ask.
import type {
  Census,
  FeedPart,
  SeriesPoint,
  SeriesQuery,
  SessionRow,
  StoreReader,
  Totals
} from '../../src/ledger/store-port.js'
import { bruteConnections, bruteSeries } from './brute-force.js'

const CHUNK_POINTS = 100

export class MemoryStore implements StoreReader {
  /** Series under way. */
  seriesRunning = 0
  readonly rows: readonly SessionRow[]
  instances: StoreReader['instances'] = () => Promise.resolve([])

  constructor(rows: readonly SessionRow[] = []) {
    this.rows = rows
  }

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

  counts({
    endpointId,
    transport,
    upstream
  }: {
    endpointId?: string
    transport?: number
    upstream?: string
  }) {
    const ids = endpointId === undefined ? new Set(this.rows.map(row => row.endpointId)) : [endpointId]
    const isCounted = (row: SessionRow) =>
      row.reason === null &&
      (transport === undefined || row.transport === transport) &&
      (upstream === undefined || row.upstream === upstream)
    return Promise.resolve(
      [...ids].map(id => ({
        endpointId: id,
        connectNum: this.rows.filter(row => row.endpointId === id && isCounted(row)).length
      }))
    )
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

  totals(query: { endpointId?: string; upstream?: string }): Promise<Totals> {
    const rows = this.rows.filter(
      row =>
        (query.endpointId === undefined || row.endpointId === query.endpointId) &&
        (query.upstream === undefined || row.upstream === query.upstream)
    )
    const openNum = rows.filter(row => row.reason === null).length
    return Promise.resolve({ openNum, openedNum: rows.length })
  }

  async snapshot(query: Parameters<StoreReader['connections']>[0]) {
    return { rows: await this.connections(query), totals: await this.totals(query) }
  }

  busiest(): Promise<string[]> {
    return Promise.resolve([...new Set(this.rows.map(row => row.endpointId))])
  }

  census(): Promise<Census> {
    const open = this.rows.filter(row => row.reason === null)
    return Promise.resolve({ open: open.map(row => ({ ...row, openNum: 1 })), drift: 0 })
  }

  feed(): Promise<FeedPart> {
    return Promise.resolve({ position: 0, changes: [] })
  }

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
