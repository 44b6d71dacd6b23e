// Owns what a store tells of events: each opening, end and reopening of a session, in the order of the commits.
import type { StoredId } from '../mcp/stored-ids.js'
import type { Transport } from '../mcp/transports.js'
import type { CloseReason } from '../sessions/events.js'
import type { EpochMs } from '../util/time.js'
import type { SessionRow } from './session-row.js'

/** A place between two events, as opaque text of visible ASCII characters that are safe in URLs: only the store reads it. */
export type EventPosition = string

/** What happened to a session. `reopened`: it had been closed, and turned out to be open. */
export type EventKind = 'opened' | 'closed' | 'reopened'

/** Something that happened to a session, as it was when it was committed, but for `session`. */
export interface StoredEvent {
  /** Its own for ever, also among the events of other stores. */
  id: string
  kind: EventKind
  endpointId: StoredId
  sessionId: StoredId
  /** Null for some events of an older version. */
  transport: Transport | null
  connectAt: EpochMs
  /** Equal to `connectAt` unless it closed. */
  disconnectAt: EpochMs
  /** Null unless it closed. */
  reason: CloseReason | null
  requestCount: number
  /** When it was committed. */
  notedAt: EpochMs
  /** The row of the session as it is now: who it is of; undefined once the row is deleted. */
  session: SessionRow | undefined
  /** The place right after it. */
  position: EventPosition
}

/** Which events are asked for. */
export interface EventsQuery {
  /** Events after this place; all that are kept where it is left out. */
  after?: EventPosition
  /** For how long events are kept, in milliseconds; 0: for ever. Older ones are as good as deleted. */
  keptMs: number
  /** The most that are returned. */
  limit: number
  endpointId?: StoredId
  /** All kinds where it is left out; none where the list is empty. */
  kinds?: readonly EventKind[]
}

/** Some events, in the order of their commits. */
export interface EventsPart {
  events: StoredEvent[]
  /** Where it begins: what was asked for, or the place before the oldest event that is kept. */
  start: EventPosition
  /** Where the next part begins; further on than the last event where others were not asked for. */
  position: EventPosition
  /** Whether there may be more already. */
  more: boolean
}

/** Why there is no part: events after the place are deleted, or of another store; or no store made that text. */
export type NoEvents = 'expired' | 'unreadable'

/** Asks for the turn to deliver to a webhook, or renews it. */
export interface WebhookTurnRequest {
  /** Names the webhook in the store: no secret. */
  webhook: string
  /** Who asks. */
  holder: string
  /** For how long nobody else gets it, in milliseconds; 0 gives it back. */
  leaseMs: number
  /** All events up to here are delivered; only the holder may say so. */
  position?: EventPosition
}

/** It is the asker's turn. */
export interface WebhookTurn {
  /** All events up to here are delivered; none are where it is left out. */
  position?: EventPosition
}
