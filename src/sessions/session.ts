// Owns a session as this process knows it, and the ledger events that report on it.
import { storedUserAgent, type ClientInfo, unknownClient } from '../mcp/client-info.js'
import type { StoredId } from '../mcp/stored-ids.js'
import type { Transport } from '../mcp/transports.js'
import type { EpochMs } from '../util/time.js'
import type { Attributed, CloseEvent, FinalReason, OpenEvent, OutcomeEvent, UseEvent } from './events.js'
import type { Attribution, Client } from './observations.js'
import type { Outcome } from './outcomes.js'

/** A session that this process has seen open. */
export interface TrackedSession {
  readonly endpointId: StoredId
  readonly sessionId: StoredId
  readonly transport: Transport
  /** Its legacy stream runs through this process. */
  isHeld: boolean
  /** The name of the gateway that it belongs to, where a response showed that. */
  readonly upstream: string | undefined
  /** When this process saw it first. */
  readonly firstSeenAt: EpochMs
  /** Last use. */
  lastSeenAt: EpochMs
  /** The last proof that the upstream knew it; 0: none. */
  provedAt: EpochMs
  /** When it was last put behind those used before it. */
  orderedAt: EpochMs
  /** The last use that was reported to the ledger. */
  reportedAt: EpochMs
  /** Requests that were not yet reported to the ledger. */
  pendingRequests: number
  /** What came of requests and was not yet reported to the ledger. */
  pendingOutcome: Outcome | undefined
  /** What was reported of its client by this process. */
  clientInfo: ClientInfo
  /** Whose it is, as far as this process saw: what was said first counts. */
  attributed: Attributed
  /** It was used on behalf of another one too, and that was reported. */
  isShared: boolean
  /** Requests that said nothing of a conversation. */
  unsaid: number
}

/** What one observation says of its session, by its stored ids. */
export interface Sighting extends Attribution {
  endpointId: StoredId
  sessionId: StoredId
  transport: Transport
  /** The gateway that responded. */
  upstream?: string | undefined
  client: Client
  at: EpochMs
}

/** A session seen for the first time; the event that comes with it reports that. */
export const newSession = ({
  endpointId,
  sessionId,
  transport,
  upstream,
  at,
  ...request
}: Sighting): TrackedSession => ({
  endpointId,
  sessionId,
  transport,
  isHeld: false,
  upstream,
  firstSeenAt: at,
  lastSeenAt: at,
  provedAt: at,
  orderedAt: at,
  reportedAt: at,
  pendingRequests: 0,
  pendingOutcome: undefined,
  clientInfo: unknownClient,
  attributed: attributed(request),
  isShared: false,
  unsaid: 0
})

/** What a request says of whose its session or visit is. */
export function attributed({ principal, conversation }: Attribution): Attributed {
  const found = conversation?.()
  return {
    ...(principal !== undefined && { principal }),
    ...(found !== undefined && { conversation: found })
  }
}

/**
 * Requests without a conversation after which not each is asked for one any more, and which of them still are. Chosen: clients that
 * have one say so in each call of a tool, and to look for it takes up to a microsecond.
 */
const ASKED_ALWAYS = 16
const ASKED_EACH = 16

/** The conversation of a request of a session or visit that is in none so far. */
export function conversationIn(
  unknowing: { unsaid: number },
  { conversation }: Attribution
): StoredId | undefined {
  const unsaid = unknowing.unsaid++
  return unsaid < ASKED_ALWAYS || unsaid % ASKED_EACH === 0 ? conversation?.() : undefined
}

/** Takes note of what a request says of whose its session is; what of that is news comes out, if anything. */
export function learn(session: TrackedSession, request: Attribution): Attributed | undefined {
  const { principal } = request
  const known = session.attributed
  const isOther = principal !== undefined && known.principal?.name !== principal.name
  const isNews = isOther && !session.isShared
  const found = known.conversation === undefined ? conversationIn(session, request) : undefined
  if (!isNews && found === undefined) return undefined
  const news = {
    ...(isNews && { principal }),
    ...(found !== undefined && { conversation: found })
  }
  session.isShared ||= isNews && known.principal !== undefined
  session.attributed = { ...news, ...known }
  return news
}

/**
 * Reports that the session was seen open, by one request; `held`: its legacy stream runs through this process; `replaces`:
 * the session that it takes the place of; `whose`: what is known of that.
 */
export const openEvent = (
  sighting: Sighting,
  held: boolean,
  replaces?: StoredId,
  whose: Attributed = {}
): OpenEvent => ({
  type: 'open',
  endpointId: sighting.endpointId,
  sessionId: sighting.sessionId,
  transport: sighting.transport,
  at: sighting.at,
  clientAddress: sighting.client.address,
  userAgent: storedUserAgent(sighting.client.userAgent),
  requests: 1,
  held,
  ...(sighting.upstream !== undefined && { upstream: sighting.upstream }),
  ...whose,
  ...(replaces !== undefined && { replaces })
})

/** Reports a session's pending uses, and takes them out of it; `who`: what was just learned of its client. */
export function useEvent(session: TrackedSession, who?: ClientInfo): UseEvent {
  const { endpointId, sessionId, transport, lastSeenAt, provedAt, pendingRequests, pendingOutcome } = session
  session.pendingRequests = 0
  session.pendingOutcome = undefined
  session.reportedAt = lastSeenAt
  return {
    type: 'use',
    endpointId,
    sessionId,
    transport,
    at: lastSeenAt,
    requests: pendingRequests,
    ...(provedAt < lastSeenAt && { provedAt }),
    ...(pendingOutcome && { outcome: pendingOutcome }),
    ...(who && { who })
  }
}

/**
 * Reports what a session has pending, and takes it out of it. What came of requests that were reported before proves nothing: a
 * session that the store does not have any more, such as one of a deleted endpoint, stays away.
 */
export function pendingEvent(session: TrackedSession): UseEvent | OutcomeEvent {
  const { endpointId, sessionId, transport, lastSeenAt, reportedAt, pendingRequests, pendingOutcome } =
    session
  if (pendingOutcome === undefined || pendingRequests > 0 || lastSeenAt > reportedAt) return useEvent(session)
  session.pendingOutcome = undefined
  return { type: 'outcome', endpointId, sessionId, transport, at: lastSeenAt, outcome: pendingOutcome }
}

/** Reports that an unknown session is in use, in case that the store knows it. */
export const presenceEvent = (sighting: Sighting): UseEvent => ({
  ...useEvent(newSession(sighting)),
  provedAt: 0,
  ofKnown: true
})

/** Reports the end of the session. */
export const closeEvent = (
  { endpointId, sessionId, transport, at }: Sighting,
  reason: FinalReason
): CloseEvent => ({
  type: 'close',
  endpointId,
  sessionId,
  transport,
  at,
  reason
})
