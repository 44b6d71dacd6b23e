// Owns what the monitoring interface knows of sessions: stats, one session, whose ids may be given masked.
import type { SessionRow, StoreReader, Totals } from '../ledger/store-port.js'
import { storedId } from '../mcp/stored-ids.js'
import type { Mask } from './access/mask.js'
import { readAll, readPage } from './paging/pages.js'
import type { Position } from './schemas/cursor.js'
import type {
  ConnectionInfo,
  ConnectionStats,
  EndedConnection,
  ProxyInfo
} from './schemas/monitoring-schemas.js'
import { iso, toEnded, toInfo } from './views.js'

const DAY_MS = 86_400_000

export class Monitor {
  readonly #store: StoreReader
  readonly #now: () => number
  readonly mask: Mask

  constructor(store: StoreReader, mask: Mask, now: () => number) {
    this.#store = store
    this.#now = now
    this.mask = mask
  }

  totals(endpoint: { endpointId?: string }): Promise<Totals> {
    return this.#store.totals(endpoint)
  }

  /** The proxies of the store, those that are gone for up to a day. */
  async proxies(): Promise<ProxyInfo[]> {
    const rows = await this.#store.instances(this.#now() - DAY_MS)
    return rows.map(({ id, heartbeatAt, isLost }) => ({ id, lastHeartbeat: iso(heartbeatAt), lost: isLost }))
  }

  /** Open sessions, newest first. */
  async open(endpoint: { endpointId?: string }, limit: number): Promise<SessionRow[]> {
    return (await readPage(this.#store, this.#openQuery(endpoint, limit))).chunks.flat()
  }

  /** Open sessions, newest first, the position of the last when more follow, and the totals of the same moment. */
  async openAndTotals(
    endpoint: { endpointId?: string },
    limit: number,
    after?: Position
  ): Promise<{ rows: SessionRow[]; last?: Position; totals: Totals }> {
    const { rows, totals } = await this.#store.snapshot(this.#openQuery(endpoint, limit + 1, after))
    const page = rows.slice(0, limit)
    return { rows: page, totals, ...(page.length < rows.length && { last: page.at(-1)! }) }
  }

  async stats(endpoint: { endpointId?: string }, limit: number): Promise<ConnectionStats> {
    const { rows, totals } = await this.openAndTotals(endpoint, limit)
    return {
      activeConnections: totals.openNum,
      totalConnections: totals.openedNum,
      connections: rows.map(row => this.info(row)),
      lastUpdated: this.time()
    }
  }

  /** Those that ended, of the sessions of the last 24 hours, newest first. */
  async history(endpoint: { endpointId?: string }, limit: number): Promise<EndedConnection[]> {
    const end = this.#now()
    const query = { ...endpoint, open: false, start: end - DAY_MS, end, limit }
    return limit === 0 ? [] : (await this.#store.connections(query)).map(row => toEnded(row, this.mask))
  }

  /** Open sessions with this id, given as it is or masked; of more than one where endpoints have the same. */
  async find(id: string, endpoint: { endpointId?: string }): Promise<SessionRow[]> {
    const stored = storedId(id)
    if (stored === undefined) return []
    const isAsked = (row: SessionRow): boolean =>
      row.reason === null && (endpoint.endpointId === undefined || row.endpointId === endpoint.endpointId)
    const found = (await this.#store.session(stored)).filter(isAsked)
    if (found.length > 0 || !this.mask.isOn) return found
    for await (const rows of readAll(this.#store, this.#openQuery(endpoint, Infinity))) {
      found.push(...rows.filter(row => this.mask.sessionId(row.sessionId) === id))
    }
    return found
  }

  info(row: SessionRow): ConnectionInfo {
    return toInfo(row, this.mask)
  }

  /** ISO 8601. */
  time(): string {
    return iso(this.#now())
  }

  #openQuery(endpoint: { endpointId?: string }, limit: number, after?: Position) {
    const now = this.#now()
    return { ...endpoint, open: true, start: now, end: now + DAY_MS, limit, ...(after && { after }) }
  }
}
