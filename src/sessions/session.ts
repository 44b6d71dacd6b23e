// Owns a session as this process knows it, and the ledger events that are told of it.
import { storedUserAgent, type ClientInfo } from '../mcp/client-info.js'
import type { Transport } from '../mcp/transports.js'
import type { FinalReason, SessionEvent } from './events.js'
import type { Client } from './observations.js'

/** A session that this process has seen open. */
export interface TrackedSession {
  readonly endpointId: string
  readonly sessionId: string
  readonly transport: Transport
  /** Last use, in epoch ms. */
  lastSeenAt: number
  /** When it was last put behind those used before it. */
  orderedAt: number
  /** The last use that the ledger was told of. */
  toldAt: number
  /** Uses not yet told to the ledger. */
  pendingRequests: number
}

/** What one observation says of a session, by its stored ids. */
export interface Subject {
  endpointId: string
  sessionId: string
  transport: Transport
  client: Client
  at: number
}

export const newSession = ({ endpointId, sessionId, transport, at }: Subject): TrackedSession => ({
  endpointId,
  sessionId,
  transport,
  lastSeenAt: at,
  orderedAt: at,
  toldAt: at,
  pendingRequests: 0
})

export const openEvent = ({ client, ...subject }: Subject, held: boolean): SessionEvent => ({
  type: 'open',
  endpointId: subject.endpointId,
  sessionId: subject.sessionId,
  transport: subject.transport,
  at: subject.at,
  clientAddress: client.address,
  userAgent: storedUserAgent(client.userAgent),
  requests: 1,
  held
})

/** Takes a session's pending uses out of it; `who`: what was just learned of its client. */
export function useEvent(session: TrackedSession, who?: ClientInfo): SessionEvent {
  const { endpointId, sessionId, transport, lastSeenAt, pendingRequests } = session
  session.pendingRequests = 0
  session.toldAt = lastSeenAt
  return {
    type: 'use',
    endpointId,
    sessionId,
    transport,
    at: lastSeenAt,
    requests: pendingRequests,
    ...(who && { who })
  }
}

export const closeEvent = (
  { endpointId, sessionId, transport, at }: Subject,
  reason: FinalReason
): SessionEvent => ({
  type: 'close',
  endpointId,
  sessionId,
  transport,
  at,
  reason
})
