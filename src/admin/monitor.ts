// Owns the sessions as the monitoring interface shows them: totals, lists, and one session by its id, masked or not.
import type { OpenCounts, SessionRow, SessionsQuery, StoreReader, Totals } from '../ledger/store-port.js'
import { storedSessionId, type WireId } from '../mcp/stored-ids.js'
import { DAY_MS, type EpochMs } from '../util/time.js'
import type { Mask } from './access/mask.js'
import type { EndpointFilter } from './endpoint-filter.js'
import { readAll, readPage } from './paging/pages.js'
import type { Position, PrincipalPosition } from './schemas/cursor.js'
import type {
  ConnectionInfo,
  ConnectionStats,
  EndedConnection,
  PrincipalInfo,
  ProxyInfo
} from './schemas/monitoring-responses.js'
import { iso, toEnded, toInfo, toPrincipal } from './views.js'

const NO_TOTALS: Totals = { openNum: 0, openedNum: 0 }
const NO_COUNTS: OpenCounts = { openNum: 0, principalNum: 0, conversationNum: 0 }

/** Reads sessions for REST and for live monitoring; both show the same. All methods reject when the store does. */
export class Monitor {
  readonly #store: StoreReader
  readonly #now: () => EpochMs
  /** How ids and addresses are shown. */
  readonly mask: Mask

  constructor(store: StoreReader, mask: Mask, now: () => EpochMs) {
    this.#store = store
    this.#now = now
    this.mask = mask
  }

  /** Sessions open now, and ever opened. */
  async totals(filter: EndpointFilter): Promise<Totals> {
    return filter === 'nothing' ? NO_TOTALS : await this.#store.totals(filter)
  }

  /** The instances of the store; a lost one for up to a day. */
  async proxies(): Promise<ProxyInfo[]> {
    const rows = await this.#store.instances(this.#now() - DAY_MS)
    return rows.map(({ id, heartbeatAt, isLost }) => ({ id, lastHeartbeat: iso(heartbeatAt), lost: isLost }))
  }

  /** Open sessions, newest first. */
  async open(filter: EndpointFilter, limit: number): Promise<SessionRow[]> {
    if (filter === 'nothing') return []
    return (await readPage(this.#store, this.#openQuery(filter, limit))).chunks.flat()
  }

  /** Open sessions, newest first, the position of the last when more follow, and the totals of the same moment. */
  async openAndTotals(
    filter: EndpointFilter,
    limit: number,
    after?: Position
  ): Promise<{ rows: SessionRow[]; last?: Position; totals: Totals; open: OpenCounts }> {
    if (filter === 'nothing') return { rows: [], totals: NO_TOTALS, open: NO_COUNTS }
    const { rows, totals, open } = await this.#store.snapshot(this.#openQuery(filter, limit + 1, after))
    const page = rows.slice(0, limit)
    return { rows: page, totals, open, ...(page.length < rows.length && { last: page.at(-1)! }) }
  }

  /** `openAndTotals` as a response. */
  async stats(filter: EndpointFilter, limit: number): Promise<ConnectionStats> {
    const { rows, totals, open } = await this.openAndTotals(filter, limit)
    return {
      activeConnections: totals.openNum,
      activePrincipals: open.principalNum,
      activeConversations: open.conversationNum,
      totalConnections: totals.openedNum,
      connections: rows.map(row => this.info(row)),
      lastUpdated: this.time()
    }
  }

  /** Sessions of the last 24 hours that have ended, newest first. */
  async history(filter: EndpointFilter, limit: number): Promise<EndedConnection[]> {
    if (filter === 'nothing' || limit === 0) return []
    const end = this.#now()
    const query = { ...filter, open: false, start: end - DAY_MS, end, limit }
    return (await this.#store.connections(query)).map(row => toEnded(row, this.mask))
  }

  /** Principals, the busiest first, and the position of the last when more follow. */
  async principals(
    filter: EndpointFilter,
    limit: number,
    after?: PrincipalPosition
  ): Promise<{ principals: PrincipalInfo[]; last?: PrincipalPosition }> {
    if (filter === 'nothing') return { principals: [] }
    const rows = await this.#store.principals({ ...filter, limit: limit + 1, ...(after && { after }) })
    const page = rows.slice(0, limit)
    const principals = page.map(row => toPrincipal(row, this.mask))
    return { principals, ...(page.length < rows.length && { last: page.at(-1)! }) }
  }

  /** Open sessions with this id, given as it is or masked; several where endpoints share an id. */
  async find(id: WireId, filter: EndpointFilter): Promise<SessionRow[]> {
    const stored = storedSessionId(id)
    if (stored === undefined || filter === 'nothing') return []
    const isAsked = (row: SessionRow): boolean =>
      row.reason === null && (filter.endpointId === undefined || row.endpointId === filter.endpointId)
    const found = (await this.#store.session(stored)).filter(isAsked)
    if (found.length > 0 || !this.mask.isOn) return found
    for await (const rows of readAll(this.#store, this.#openQuery(filter, Infinity))) {
      found.push(...rows.filter(row => this.mask.sessionId(row.sessionId) === id))
    }
    return found
  }

  /** An open session as a response. */
  info(row: SessionRow): ConnectionInfo {
    return toInfo(row, this.mask)
  }

  /** This moment, in ISO 8601. */
  time(): string {
    return iso(this.#now())
  }

  #openQuery(filter: Exclude<EndpointFilter, 'nothing'>, limit: number, after?: Position): SessionsQuery {
    const now = this.#now()
    return { ...filter, open: true, start: now, end: now + DAY_MS, limit, ...(after && { after }) }
  }
}
