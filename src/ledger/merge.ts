// Owns how facts about one session become its row: a pure merge whose result does not depend on their order.
import type { CloseEvent, FinalReason, OpenEvent, PresumedReason, UseEvent } from '../sessions/events.js'
import { Transport } from '../sessions/observation.js'
import type { Instance, SessionRow } from './store.js'

/** Everything the store keeps of a session. */
export interface SessionRecord extends Omit<SessionRow, 'id'> {
  /** Of its row, once it has one. */
  id?: number
  /** The first end that is final; kept beside `disconnectAt` because a presumed end may come before it. */
  closedAt: number | null
  closedBy: FinalReason | null
  /** Which process (proxy id, start number) held its legacy stream. */
  holder: string | null
  holderBoot: number | null
}

/** Of two final ends at the same millisecond, the one further left counts. */
const finalOrder: readonly FinalReason[] = ['killed', 'delete', 'stream_end', 'gone']

/** Merges a proof that the session is open: its first (`open`), or a use. `idleTimeoutMs`: as for `mergeClose`. */
export function mergeProof(
  before: SessionRecord | undefined,
  proof: OpenEvent | UseEvent,
  origin: Instance,
  idleTimeoutMs = 0
): SessionRecord {
  const after = before ? { ...before } : newRecord(proof)
  if (proof.type === 'open' && (after.clientAddress === '' || proof.at < after.connectAt)) {
    after.clientAddress = proof.clientAddress
    after.userAgent = proof.userAgent
  }
  if (proof.type === 'open' && proof.held) {
    after.holder = origin.id
    after.holderBoot = origin.boot
  }
  if (contradicts(after, proof.at, origin)) reopen(after)
  else if (after.reason === 'lost') after.disconnectAt = Math.max(after.disconnectAt, proof.at)
  const open = after.reason === null
  after.connectAt = Math.min(after.connectAt, proof.at)
  if (open) after.disconnectAt = after.connectAt
  if (proof.at >= after.lastSeenAt) after.seenBy = origin.id
  after.lastSeenAt = Math.max(after.lastSeenAt, proof.at)
  after.requestCount += proof.requests
  return open && after.closedAt !== null && after.closedBy !== null
    ? ended(after, after.closedAt, after.closedBy, idleTimeoutMs)
    : after
}

/**
 * Merges a final end. The earliest one counts; a session was open for at least the millisecond before it. Where it was
 * not used for `idleTimeoutMs` (0: no limit) before that end, it was idle first.
 */
export function mergeClose(
  before: SessionRecord,
  close: Pick<CloseEvent, 'at' | 'reason'>,
  idleTimeoutMs = 0
): SessionRecord {
  if (
    before.closedAt !== null &&
    before.closedBy !== null &&
    !precedes(close, before.closedAt, before.closedBy)
  )
    return before
  return ended(before, close.at, close.reason, idleTimeoutMs)
}

function ended(
  record: SessionRecord,
  closedAt: number,
  closedBy: FinalReason,
  idleTimeoutMs: number
): SessionRecord {
  const idleAt = record.lastSeenAt + idleTimeoutMs
  const idle = idleTimeoutMs > 0 && record.transport === Transport.streamable && idleAt < closedAt
  return {
    ...record,
    closedAt,
    closedBy,
    disconnectAt: idle ? idleAt : closedAt,
    reason: idle ? 'idle' : closedBy,
    connectAt: Math.min(record.connectAt, closedAt - 1)
  }
}

/** Ends an open session from silence, at `at` or just after its last proof; later proof takes it back. */
export function presumeClosed(before: SessionRecord, at: number, reason: PresumedReason): SessionRecord {
  if (before.reason !== null) return before
  return { ...before, disconnectAt: Math.max(at, before.lastSeenAt, before.connectAt + 1), reason }
}

/** Whether proof at `at`, told by `origin`, shows that a presumed end was none. */
function contradicts(record: SessionRecord, at: number, origin: Instance): boolean {
  if (record.reason === 'idle') return at > record.lastSeenAt
  // What others saw of a stream may be older than its end and arrive later. Its holder tells in order: while it tells,
  // either the stream lives, or its end comes next.
  if (record.reason === 'lost') return record.holder === origin.id && record.holderBoot === origin.boot
  return false
}

function reopen(record: SessionRecord): void {
  record.disconnectAt = record.connectAt
  record.reason = null
}

function precedes(
  close: Pick<CloseEvent, 'at' | 'reason'>,
  closedAt: number,
  closedBy: FinalReason
): boolean {
  if (close.at !== closedAt) return close.at < closedAt
  return finalOrder.indexOf(close.reason) < finalOrder.indexOf(closedBy)
}

function newRecord({ endpointId, sessionId, transport, at }: OpenEvent | UseEvent): SessionRecord {
  return {
    endpointId,
    sessionId,
    transport,
    connectAt: at,
    disconnectAt: at,
    reason: null,
    lastSeenAt: at,
    requestCount: 0,
    seenBy: null,
    clientAddress: '',
    userAgent: null,
    clientName: null,
    clientVersion: null,
    protocolVersion: null,
    closedAt: null,
    closedBy: null,
    holder: null,
    holderBoot: null
  }
}
