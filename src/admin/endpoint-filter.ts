// Owns which endpoints a request is about: one, all, or one that cannot exist.
import { type StoredId, storedId, type WireId } from '../mcp/stored-ids.js'

/**
 * The endpoint named, or all where none is named. `nothing`: the id named cannot be stored, so that no session can be of
 * it; the response to such a request is made without reading the store.
 */
export type EndpointFilter = { endpointId?: StoredId } | 'nothing'

/** The filter for an endpoint id as a request gives it; undefined: the request names none. */
export function endpointFilter(named: WireId | undefined): EndpointFilter {
  if (named === undefined) return {}
  const endpointId = storedId(named)
  return endpointId === undefined ? 'nothing' : { endpointId }
}
