// Owns how an event of the store becomes a CloudEvent, with names hashed by --mask.
import type { StoredEvent } from '../../ledger/event-port.js'
import { transportNames } from '../../mcp/transports.js'
import type { EpochMs } from '../../util/time.js'
import type { Mask } from '../access/mask.js'
import { eventTypes, type SessionCloudEvent } from '../schemas/event-responses.js'

/**
 * The event in the JSON of CloudEvents. What happened is as it was; whose session it is comes from its row as it is now, so
 * that an erased name is told no more, and is null once the row is deleted.
 */
export function toCloudEvent(event: StoredEvent, mask: Mask): SessionCloudEvent {
  const { kind, endpointId, transport, connectAt, disconnectAt, reason, session } = event
  const sessionId = mask.sessionId(event.sessionId)
  const isClosed = kind === 'closed'
  const happenedAt = { opened: connectAt, closed: disconnectAt, reopened: event.notedAt }
  return {
    specversion: '1.0',
    id: event.id,
    source: '/mcp-turnstile',
    type: eventTypes[kind],
    subject: `${endpointId}/${sessionId}`,
    time: iso(happenedAt[kind]),
    datacontenttype: 'application/json',
    data: {
      endpointId,
      sessionId,
      transport: transport && transportNames[transport],
      connectedAt: iso(connectAt),
      disconnectedAt: isClosed ? iso(disconnectAt) : null,
      duration: isClosed ? disconnectAt - connectAt : null,
      reason,
      requestCount: event.requestCount,
      upstream: session?.upstream ?? null,
      clientIP: session ? mask.address(session.clientAddress) : null,
      userAgent: session?.userAgent ?? null,
      clientName: session?.clientName ?? null,
      clientVersion: session?.clientVersion ?? null,
      protocolVersion: session?.protocolVersion ?? null,
      principal: mask.name(session?.principal ?? null),
      principalKind: session?.principalKind ?? null,
      oauthClient: mask.name(session?.oauthClient ?? null),
      conversation: mask.name(session?.conversation ?? null)
    }
  }
}

const iso = (at: EpochMs): string => new Date(at).toISOString()
