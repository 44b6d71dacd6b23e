// Owns the filters of the list of sessions, and which sessions match them.
import type { TransportName } from '../admin/schemas/monitoring-responses.js'
import type { ListedSession } from './sessions.js'

/** Sessions open now, those of the range that ended, or all of the range. */
export const states = ['open', 'ended', 'all'] as const
export type StateFilter = (typeof states)[number]

/** The transports, by the names of the admin port. */
export const transportNames = ['streamable', 'sse', 'sessionless'] as const satisfies readonly TransportName[]

/** The filters of the list, within the endpoint that is chosen. Undefined: all. */
export interface Filters {
  state: StateFilter
  /** A text to find in names, user agent, address or session id, in upper or lower case. Empty: no filter. */
  text: string
  transport: TransportName | undefined
  /** Why sessions ended; open ones have none. */
  reason: string | undefined
  /** The name of a gateway. */
  upstream: string | undefined
  principal: string | undefined
  conversation: string | undefined
}

export const noFilters: Filters = {
  state: 'open',
  text: '',
  transport: undefined,
  reason: undefined,
  upstream: undefined,
  principal: undefined,
  conversation: undefined
}

/** Whether the list is filtered by anything but state. */
export const isNarrowed = (filters: Filters): boolean =>
  Object.entries(filters).some(([name, value]) => name !== 'state' && value !== undefined && value !== '')

/** Returns a function that says whether a session matches everything but the state. */
export function matcher(filters: Filters): (session: ListedSession) => boolean {
  const { transport, reason, upstream, principal, conversation } = filters
  const wanted = filters.text.toLowerCase()
  return session =>
    (transport === undefined || session.transport === transport) &&
    (reason === undefined || session.ended?.reason === reason) &&
    (upstream === undefined || session.upstream === upstream) &&
    (principal === undefined || session.principal === principal) &&
    (conversation === undefined || session.conversation === conversation) &&
    (wanted === '' || textsOf(session).some(text => text?.toLowerCase().includes(wanted)))
}

const textsOf = (session: ListedSession): (string | null)[] => [
  session.clientName,
  session.clientVersion,
  session.userAgent,
  session.address,
  session.sessionId,
  session.principal
]

/** What the admin port masked: it does not know the name, so that only the page can filter by it. */
const MASKED = /^masked-[\da-f]{16}$/

/** A name as the admin port filters by it; undefined where it cannot. */
export const asked = (name: string | undefined): string | undefined =>
  name !== undefined && MASKED.test(name) ? undefined : name
