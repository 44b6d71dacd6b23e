// Owns the interface through which operators act on sessions and endpoints, and the audit log of their actions.
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { EndpointDeletion, Erasure, SessionRow } from '../ledger/store-port.js'
import type { StoredId } from '../mcp/stored-ids.js'
import type { Mask } from './access/mask.js'

/** What operators can have the proxy do; implemented by an instance, and by the primary of several workers. */
export interface Control {
  /**
   * Ends a session: the gateway forgets it, its streams through this proxy are cut, and the ledger has it as `killed`.
   * Rejects with `ActionError` where that cannot be done; then nothing has changed.
   */
  end(session: Pick<SessionRow, 'endpointId' | 'sessionId' | 'transport' | 'upstream'>): Promise<void>
  /** Resolves once queries show what was ended, or when the store takes too long. */
  settled(): Promise<void>
  /** Deletes a part of what the store has of an endpoint (`StoreWriter.deleteEndpoint`). */
  deleteEndpoint(endpointId: StoredId): Promise<EndpointDeletion>
  /** Refuses new sessions of an endpoint, or lets them in again. */
  drain(endpointId: StoredId, on: boolean): void | Promise<void>
  /** The endpoints whose new sessions are refused. */
  draining(): ReadonlySet<StoredId> | Promise<ReadonlySet<StoredId>>
  /** Sends no new sessions to a gateway, through any proxy of the store, or does so again. */
  drainUpstream(name: string, on: boolean): Promise<void>
  /** Puts a token in the place of a principal's name, in the store and in what is told to it later. */
  erasePrincipal(principal: string): Promise<Erasure>
  /** Resolves once the store knows what there is to each gateway now, or when it takes too long. */
  reportUpstreams(): Promise<void>
}

/** Writes to the log that an operator did something; session ids and principals in `details` are hashed. */
export type Audit = (request: FastifyRequest, action: string, details: Record<string, unknown>) => void

/** An audit log that writes a line for each action, whatever the log level. */
export function auditor(logger: FastifyBaseLogger, mask: Mask): Audit {
  const log = logger.child({ audit: true }, { level: 'info' })
  return (request, action, { sessionId, principal, ...details }) => {
    const session = {
      ...(typeof sessionId === 'string' && { session: mask.loggedId(sessionId) }),
      ...(typeof principal === 'string' && { principal: mask.loggedName(principal) })
    }
    const by = { operator: request.operator, from: mask.address(request.ip) }
    log.info({ action, ...by, ...session, ...details }, 'an operator acted')
  }
}
