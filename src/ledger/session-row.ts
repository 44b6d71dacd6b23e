// Owns a session as the store has it. All times are epoch milliseconds, UTC.
import type { PrincipalKind } from '../mcp/principal.js'
import type { StoredId } from '../mcp/stored-ids.js'
import type { Transport } from '../mcp/transports.js'
import type { CloseReason } from '../sessions/events.js'
import type { EpochMs } from '../util/time.js'

/** A row of `endpoint_logs_v2`. */
export interface SessionRow {
  id: number
  endpointId: StoredId
  sessionId: StoredId
  transport: Transport
  connectAt: EpochMs
  /** Equal to `connectAt` while the session is open; later than it, by 1 ms at least, once it is closed. */
  disconnectAt: EpochMs
  /** Null while the session is open. */
  reason: CloseReason | null
  lastSeenAt: EpochMs
  /** The last proof that the upstream knew it; null: `lastSeenAt`. */
  provedAt?: EpochMs | null
  requestCount: number
  /** As in `Outcome`, of all its requests. */
  bytesIn: number
  bytesOut: number
  callCount: number
  errorCount: number
  unreadCount: number
  /** The id of the instance that saw it last; null in rows of the first version of the tables. */
  seenBy: string | null
  /** The gateway whose response opened it; null where that is not known, and for a session-less client. */
  upstream: string | null
  /** The IP address as text; empty where only uses of the session were seen, not its opening. */
  clientAddress: string
  userAgent: string | null
  clientName: string | null
  clientVersion: string | null
  protocolVersion: string | null
  /** On whose behalf it was first used, and how that is known; null where it is not. */
  principal: string | null
  principalKind: PrincipalKind | null
  /** The OAuth client that the token was issued to. */
  oauthClient: StoredId | null
  /** What its client says that it belongs to, together with others of its endpoint; null where it says nothing. */
  conversation: StoredId | null
}
