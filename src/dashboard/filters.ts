// Owns what the list of sessions is narrowed to, and which sessions match: state, transport, and text that describes a client.
import type { TransportName } from '../admin/schemas/monitoring-responses.js'
import type { ListedSession } from './sessions.js'

/** Sessions open now, those of the range that ended, or all of the range. */
export type StateFilter = 'open' | 'ended' | 'all'

/** What the list is narrowed to within an endpoint. */
export interface Filters {
  state: StateFilter
  /** In names, user agent, address or session id; in any case of letters. Empty: not narrowed. */
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

/** Whether text or transport narrow the list, beyond the state. */
export const isNarrowed = ({ text, transport }: Filters): boolean => text !== '' || transport !== undefined

/** Tells whether a session matches text and transport. */
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
