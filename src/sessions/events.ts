// Owns the ledger's events: what is known of a session, in facts that can be merged in any order.
//
// Events wait as JSON in the outbox, also across an upgrade of the program: fields may be added, never renamed.
import type { ClientInfo } from '../mcp/client-info.js'
import type { Principal } from '../mcp/principal.js'
import type { StoredId } from '../mcp/stored-ids.js'
import type { Transport } from '../mcp/transports.js'
import type { EpochMs } from '../util/time.js'
import type { Outcome } from './outcomes.js'

/**
 * Ends seen on the wire or ordered by an operator. `delete`: the upstream accepted the client's DELETE; `stream_end`: its
 * legacy stream ended; `killed`: an operator ended it; a session that has one of these never comes back. `gone`: the
 * upstream does not know it any more (`404`); a later proof that it does takes that back.
 */
export type FinalReason = 'delete' | 'stream_end' | 'gone' | 'killed'
/**
 * Ends concluded from silence: later evidence takes them back. `idle`: not used for the idle timeout; `lost`: the proxy
 * that held its legacy stream died.
 */
export type PresumedReason = 'idle' | 'lost'
/** Why a session ended; the column `reason`. */
export type CloseReason = FinalReason | PresumedReason

/** Whose the session or visit is, where that was just learned. */
export interface Attributed {
  /** On whose behalf its client sends requests. */
  principal?: Principal
  /** The conversation that they belong to. */
  conversation?: StoredId
}

/** The session was open at `at`: the first proof of it that this process saw. */
export interface OpenEvent extends Attributed {
  type: 'open'
  endpointId: StoredId
  sessionId: StoredId
  transport: Transport
  at: EpochMs
  clientAddress: string
  userAgent: string | null
  /** Requests since the last event of this session, this one included. */
  requests: number
  /** This process holds the legacy stream that the session lives and dies with. */
  held: boolean
  /** The gateway whose response showed that. */
  upstream?: string
  /** The session in whose place the upstream opened this one, for the same client. */
  replaces?: StoredId
}

/** The session was used: last at `at`, by `requests` requests since its last event. */
export interface UseEvent extends Attributed {
  type: 'use'
  endpointId: StoredId
  sessionId: StoredId
  transport: Transport
  at: EpochMs
  requests: number
  /** The client's name and version, where they were just learned. */
  who?: ClientInfo
  /**
   * The last proof that the upstream knows the session, where `at` is none: a message of the server or a request without
   * a response is use, but takes no `gone` back. 0: this process saw none.
   */
  provedAt?: EpochMs
  /** Nobody knows whether the upstream ever knew the session: one that the store does not have stays unknown. */
  ofKnown?: true
  /** What came of its requests since its last event; left out: nothing. */
  outcome?: Outcome
}

/** A session-less client was there from `from` to `at`. */
export interface VisitEvent extends Attributed {
  type: 'visit'
  endpointId: StoredId
  /** The id that the visit gets if this event is the first one of it that the store sees. */
  sessionId: StoredId
  /** The client's identity (`Visitors`); no secret. */
  visitor: string
  from: EpochMs
  at: EpochMs
  clientAddress: string
  userAgent: string | null
  requests: number
  /** The client's name and version. */
  who: ClientInfo
  /** As in `UseEvent`. */
  outcome?: Outcome
}

/** What came of requests of a session that this process does not know (any more); it proves nothing, and makes no row. */
export interface OutcomeEvent {
  type: 'outcome'
  endpointId: StoredId
  sessionId: StoredId
  transport: Transport
  at: EpochMs
  outcome: Outcome
}

/** Uses of a tool on an endpoint, added up; the last of them ended at `at`, and all of them in the same hour. */
export interface ToolEvent {
  type: 'tool'
  endpointId: StoredId
  /** In the form in which it is stored. */
  tool: string
  at: EpochMs
  calls: number
  errors: number
  durationSumMs: number
  durationMaxMs: number
}

/** The session ended at `at`. For a session that nobody saw open it creates nothing. */
export interface CloseEvent {
  type: 'close'
  endpointId: StoredId
  sessionId: StoredId
  /** On which transport the end was seen: an id of the other one is unknown there. An operator's end has none. */
  transport?: Transport
  at: EpochMs
  reason: FinalReason
}

/** A new process of this proxy took over: the legacy streams of earlier ones ended, at the latest at `at`. */
export interface RestartEvent {
  type: 'restart'
  /** Last sign of life of the process before. */
  at: EpochMs
}

/** An event of one session or visit. */
export type SessionEvent = OpenEvent | UseEvent | CloseEvent | VisitEvent | OutcomeEvent
/** What an outbox entry holds. */
export type LedgerEvent = SessionEvent | ToolEvent | RestartEvent
