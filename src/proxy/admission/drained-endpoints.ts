// Owns which endpoints are drained: they let no new sessions in, and those that they have go on.
import { type StoredId, storedEndpointId, type WireId } from '../../mcp/stored-ids.js'
import { RefusedRequest } from '../http/proxy-errors.js'

/** The endpoints that operators have drained. */
export class DrainedEndpoints {
  /** Operators add and remove endpoints here. */
  readonly endpoints = new Set<StoredId>()

  /** Throws `RefusedRequest` if a session would be opened on a drained endpoint. */
  check(endpointId: WireId): void {
    const stored = storedEndpointId(endpointId)
    if (stored !== undefined && this.endpoints.has(stored))
      throw new RefusedRequest('The endpoint takes no new sessions', 503, 'draining')
  }
}
