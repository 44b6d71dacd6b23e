// Owns which sessions a request is about: of one endpoint, of all, or of one that cannot exist; of a gateway, principal, conversation.
import type { SessionsFilter } from '../ledger/store-port.js'
import { storedConversation } from '../mcp/conversation.js'
import { storedName } from '../mcp/principal.js'
import { storedEndpointId, type WireId } from '../mcp/stored-ids.js'

/**
 * The endpoint named, or all where none is named. `nothing`: the id named cannot be stored, so that no session can be of
 * it; the response to such a request is made without reading the store.
 */
export type EndpointFilter = Omit<SessionsFilter, 'transport'> | 'nothing'

/** What a request asks for besides an endpoint, as it gives that. */
export interface Narrowing {
  /** The name of a gateway. */
  upstream?: string
  principal?: string
  conversation?: string
}

/** The filter for an endpoint id, and what else a request names; undefined: the request names none. */
export function endpointFilter(
  named: WireId | undefined,
  { upstream, principal, conversation }: Narrowing = {}
): EndpointFilter {
  const narrowed = {
    ...(upstream !== undefined && { upstream }),
    ...(principal !== undefined && { principal: storedName(principal) }),
    ...(conversation !== undefined && { conversation: storedConversation(conversation) })
  }
  if (named === undefined) return narrowed
  const endpointId = storedEndpointId(named)
  return endpointId === undefined ? 'nothing' : { endpointId, ...narrowed }
}
