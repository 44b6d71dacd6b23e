// Owns which endpoints let no new sessions in.
import { storedId } from '../../mcp/stored-ids.js'
import { RefusedRequest } from '../http/proxy-errors.js'

export class DrainedEndpoints {
  /** Ids as they are stored. */
  readonly endpoints = new Set<string>()

  /** Throws `RefusedRequest` where a session would be opened that shall not be; the id is as on the wire. */
  check(endpointId: string | undefined): void {
    if (endpointId !== undefined && this.endpoints.has(storedId(endpointId) ?? ''))
      throw new RefusedRequest('The endpoint takes no new sessions', 503, 'draining')
  }
}
