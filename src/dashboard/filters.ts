// Owns the filters of the list of sessions, and which sessions match them: state, transport, and text that describes a client.
import type { TransportName } from '../admin/schemas/monitoring-responses.js'
import type { ListedSession } from './sessions.js'

/** Sessions open now, those of the range that ended, or all of the range. */
export type StateFilter = 'open' | 'ended' | 'all'

/** The filters of the list, within the endpoint that is chosen. */
export interface Filters {
  state: StateFilter
  /** A text to find in names, user agent, address or session id, in upper or lower case. Empty: no filter. */
  text: string
  /** Undefined: all. */
  transport: TransportName | undefined
}

/** The filters as the form of the page has them. */
export function filtersOf(form: Pick<FormData, 'get'>): Filters {
  const transport = form.get('transport') as TransportName | ''
  return {
    state: form.get('state') as StateFilter,
    text: (form.get('client') as string).trim(),
    transport: transport === '' ? undefined : transport
  }
}

/** Whether the list is filtered by text or transport. */
export const isNarrowed = ({ text, transport }: Filters): boolean => text !== '' || transport !== undefined

/** Returns a function that says whether a session matches text and transport. */
export function matcher({
  text,
  transport
}: Pick<Filters, 'text' | 'transport'>): (session: ListedSession) => boolean {
  const wanted = text.toLowerCase()
  return session =>
    (transport === undefined || session.transport === transport) &&
    [session.clientName, session.clientVersion, session.userAgent, session.address, session.sessionId].some(
      field => field?.toLowerCase().includes(wanted)
    )
}
