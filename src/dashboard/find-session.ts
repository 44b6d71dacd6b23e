// Owns finding the session that an address names, open or ended, where it is not in the list.
import type { ConnectionInfo } from '../admin/schemas/monitoring-responses.js'
import type { ConnectionRow } from '../admin/schemas/query-responses.js'
import { type Api, ApiError } from './api.js'
import { fromInfo, fromRow, type ListedSession } from './sessions.js'
import type { SessionReference } from './view.js'

/** Pages that are read of the sessions of that moment. Chosen: 50,000 sessions. */
const MAX_PAGES = 5
const PAGE = 10_000

/** The session; undefined where there is none, or too many of its time. Rejects when the admin port does not respond. */
export async function findSession(
  api: Api,
  { endpointId, sessionId, connectedAt }: SessionReference
): Promise<ListedSession | undefined> {
  try {
    const path = `/api/mcp/connections/${encodeURIComponent(sessionId)}`
    return fromInfo(await api.get<ConnectionInfo>(path, { endpointId }))
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) throw error
  }
  const moment = { start_time: connectedAt, end_time: connectedAt + 1 }
  let next: string | undefined = '/api/connections/endpoint'
  let parameters: Record<string, string | number> = { ...moment, endpoint_id: endpointId, limit: PAGE }
  for (let i = 0; i < MAX_PAGES && next !== undefined; i++) {
    const page: { body: ConnectionRow[]; next: string | undefined } = await api.page(next, parameters)
    const row = page.body.find(({ session_id }) => session_id === sessionId)
    if (row) return fromRow(row)
    next = page.next
    parameters = {}
  }
  return undefined
}
