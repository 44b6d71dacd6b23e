// Owns which sessions a request is about: of one endpoint, of all, or of one that cannot exist; and of which gateway.
import { type StoredId, storedEndpointId, type WireId } from '../mcp/stored-ids.js'

/**
 * The endpoint named, or all where none is named. `nothing`: the id named cannot be stored, so that no session can be of
 * it; the response to such a request is made without reading the store.
 */
export type EndpointFilter = { endpointId?: StoredId; upstream?: string } | 'nothing'

/** The filter for an endpoint id, and the name of a gateway, as a request gives them; undefined: the request names none. */
export function endpointFilter(named: WireId | undefined, upstream?: string): EndpointFilter {
  const ofUpstream = upstream === undefined ? {} : { upstream }
  if (named === undefined) return ofUpstream
  const endpointId = storedEndpointId(named)
  return endpointId === undefined ? 'nothing' : { endpointId, ...ofUpstream }
}
