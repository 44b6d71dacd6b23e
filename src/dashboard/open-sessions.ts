// Owns the list of open sessions: read page by page, then kept up to date by the live connection.
import type { ConnectionInfo, ConnectionStats } from '../admin/schemas/monitoring-responses.js'
import type { Page, PageReader } from './page-reader.js'
import { fromInfo, listKey, newestFirst, type ListedSession } from './sessions.js'

/** Sessions read at a time. Chosen: the admin port's default for one page. */
const PAGE = 1_000
/** How many sessions are listed, the newest ones; older ones are only counted. Chosen: bounds the memory of the page. */
export const MAX_LISTED = 50_000
/** How long the list may differ from the count before it is read again. Chosen: above the delay of live updates. */
const DRIFT_MS = 3_000

/** Open sessions of an endpoint or of all. */
export class OpenSessions {
  readonly #api: PageReader
  #sessions = new Map<string, ListedSession>()
  /** What happened while the list is read (null: ended); the list that is read may have none, some or all of it. */
  #meanwhile: Map<string, ListedSession | null> | undefined
  #loading = 0
  #driftSince: number | undefined

  constructor(api: PageReader) {
    this.#api = api
  }

  /** Newest first. */
  list(): ListedSession[] {
    return [...this.#sessions.values()].sort(newestFirst)
  }

  /** The session with this `listKey`; undefined if it is not listed. */
  get(key: string): ListedSession | undefined {
    return this.#sessions.get(key)
  }

  /** Reads the list again; false when another reading began meanwhile. Rejects when the admin port does not respond. */
  async load(endpointId: string | undefined): Promise<boolean> {
    const turn = ++this.#loading
    const meanwhile = (this.#meanwhile = new Map<string, ListedSession | null>())
    const sessions = new Map<string, ListedSession>()
    let path: string | undefined = '/api/mcp/connections'
    let parameters: { endpointId?: string | undefined; limit?: number } = { endpointId, limit: PAGE }
    while (path !== undefined && sessions.size < MAX_LISTED) {
      const { body, next }: Page<ConnectionStats> = await this.#api.page<ConnectionStats>(path, parameters)
      if (turn !== this.#loading) return false
      for (const info of body.connections) set(sessions, fromInfo(info))
      path = next
      parameters = {}
    }
    for (const [key, session] of meanwhile) {
      if (session) sessions.set(key, session)
      else sessions.delete(key)
    }
    this.#sessions = sessions
    this.#meanwhile = undefined
    this.#driftSince = undefined
    return true
  }

  /** A session opened. */
  opened(info: ConnectionInfo): ListedSession {
    const session = fromInfo(info)
    set(this.#sessions, session)
    this.#meanwhile?.set(session.key, session)
    return session
  }

  /** A session ended. Returns it as it was listed; undefined if it was not listed. */
  closed(endpointId: string, sessionId: string): ListedSession | undefined {
    const key = listKey(endpointId, sessionId)
    const session = this.#sessions.get(key)
    this.#sessions.delete(key)
    this.#meanwhile?.set(key, null)
    return session
  }

  /** Takes over the counts and last activity of the newest sessions. Returns whether the list must be read again. */
  update(stats: ConnectionStats, now: number): boolean {
    for (const info of stats.connections) {
      const session = this.#sessions.get(listKey(info.endpointId, info.sessionId))
      if (!session) continue
      session.lastSeenAt = Date.parse(info.lastActivity)
      session.requestCount = info.requestCount
      session.bytesIn = info.bytesIn
      session.bytesOut = info.bytesOut
      session.callCount = info.callCount
      session.errorCount = info.errorCount
      session.unreadCount = info.unreadCount
      session.clientName = info.clientName
      session.clientVersion = info.clientVersion
    }
    const expected = Math.min(stats.activeConnections, MAX_LISTED)
    const differs = this.#meanwhile === undefined && expected !== Math.min(this.#sessions.size, MAX_LISTED)
    this.#driftSince = differs ? (this.#driftSince ?? now) : undefined
    const isWrong = this.#driftSince !== undefined && now - this.#driftSince > DRIFT_MS
    return isWrong || stats.connections.length < this.#sessions.size
  }
}

const set = (sessions: Map<string, ListedSession>, session: ListedSession): void => {
  sessions.set(session.key, session)
}
