// Owns the ledger's events: what is known of a session, in facts that can be merged in any order.
import type { ClientInfo } from '../mcp/client-info.js'
import type { Transport } from '../mcp/transports.js'

/** Ends seen on the wire or ordered by an operator: a session that has one never comes back. */
export type FinalReason = 'delete' | 'stream_end' | 'gone' | 'killed'
/** Ends concluded from silence: later evidence takes them back. */
export type PresumedReason = 'idle' | 'lost'
export type CloseReason = FinalReason | PresumedReason

/** The session was open at `at` (epoch ms): the first proof of it that this process saw. */
export interface OpenEvent {
  type: 'open'
  endpointId: string
  sessionId: string
  transport: Transport
  at: number
  clientAddress: string
  userAgent: string | null
  /** Requests since the last event of this session, this one included. */
  requests: number
  /** This process holds the legacy stream that the session lives and dies with. */
  held: boolean
}

/** The session was used: last at `at` (epoch ms), by `requests` requests since its last event. */
export interface UseEvent {
  type: 'use'
  endpointId: string
  sessionId: string
  transport: Transport
  at: number
  requests: number
  /** What was just learned of the client. */
  who?: ClientInfo
}

/** A session-less client was there from `from` to `at` (epoch ms). */
export interface VisitEvent {
  type: 'visit'
  endpointId: string
  /** The id of the visit, should this be the first that is told of it. */
  sessionId: string
  /** Digest of the client's identity. */
  visitor: string
  from: number
  at: number
  clientAddress: string
  userAgent: string | null
  requests: number
  who: ClientInfo
}

/**
 * The session ended at `at` (epoch ms). Of a session that nobody saw open it creates nothing. `transport`: on which that
 * was seen, as an id of the other one is unknown there; an operator's end has none.
 */
export interface CloseEvent {
  type: 'close'
  endpointId: string
  sessionId: string
  transport?: Transport
  at: number
  reason: FinalReason
}

/** A new process of this proxy took over: the legacy streams of earlier ones ended, at the latest at `at`. */
export interface RestartEvent {
  type: 'restart'
  /** Last sign of life of the process before, in epoch ms. */
  at: number
}

export type SessionEvent = OpenEvent | UseEvent | CloseEvent | VisitEvent
export type LedgerEvent = SessionEvent | RestartEvent
