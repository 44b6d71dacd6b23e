// Owns the port to whoever can act on sessions and endpoints, and the audit of what operators had done.
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { SessionRow } from '../ledger/store-port.js'
import type { Mask } from './access/mask.js'

/** What the proxy can be told to do. */
export interface Control {
  /**
   * Ends a session: the gateway forgets it, its streams through this proxy are cut, the ledger has it as `killed`. Throws
   * `ActionError` where that cannot be; then it is as it was.
   */
  end(session: Pick<SessionRow, 'endpointId' | 'sessionId' | 'transport'>): Promise<void>
  /** Resolves once queries tell what was ended, or when the store takes too long. */
  settled(): Promise<void>
  /** Whether new sessions of an endpoint are refused. */
  drain(endpointId: string, on: boolean): void | Promise<void>
  draining(): ReadonlySet<string> | Promise<ReadonlySet<string>>
}

export type Audit = (request: FastifyRequest, action: string, details: Record<string, unknown>) => void

/** A line for each action, whatever the log level. */
export function auditor(logger: FastifyBaseLogger, mask: Mask): Audit {
  const log = logger.child({ audit: true }, { level: 'info' })
  return (request, action, { sessionId, ...details }) => {
    const session = typeof sessionId === 'string' ? { session: mask.loggedId(sessionId) } : {}
    const by = { operator: request.operator, from: mask.address(request.ip) }
    log.info({ action, ...by, ...session, ...details }, 'an operator acted')
  }
}
