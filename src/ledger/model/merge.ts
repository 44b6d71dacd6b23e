// Owns how facts about one session become its row: a pure merge whose result does not depend on their order.
import { mergeClientInfo, type ClientInfo } from '../../mcp/client-info.js'
import { Transport } from '../../mcp/transports.js'
import type {
  CloseEvent,
  FinalReason,
  OpenEvent,
  PresumedReason,
  UseEvent,
  VisitEvent
} from '../../sessions/events.js'
import type { InstanceIdentity, LedgerRules, SessionRow } from '../store-port.js'

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

/** How long a session lasts without a use, in milliseconds; infinitely where none is ever idle. */
export const idleAfterMs = ({ idleTimeoutMs }: LedgerRules): number => idleTimeoutMs || Infinity

/** Of two final ends at the same millisecond, the one further left counts. */
const finalOrder: readonly FinalReason[] = ['killed', 'delete', 'stream_end', 'gone']

/** Merges a proof that the session is open: its first (`open`), or a use. `idleTimeoutMs`: as for `mergeClose`. */
export function mergeProof(
  before: SessionRecord | undefined,
  proof: OpenEvent | UseEvent,
  origin: InstanceIdentity,
  rules: LedgerRules
): SessionRecord {
  const after = before ? { ...before } : newRecord(proof, proof.transport, proof.at)
  if (proof.type === 'use' && proof.who) Object.assign(after, mergeClientInfo(after, proof.who))
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
    ? ended(after, after.closedAt, after.closedBy, rules)
    : after
}

/**
 * Whether a fact of a session-less client belongs to this visit of it: their times touch, each with the idle timeout
 * (0: it is never idle).
 */
export function belongsTo(visit: SessionRecord, { from, at }: VisitEvent, rules: LedgerRules): boolean {
  const lastsMs = idleAfterMs(rules)
  return from < visit.lastSeenAt + lastsMs && visit.connectAt < at + lastsMs
}

/**
 * Merges presence of a session-less client with all visits that it belongs to: they turn out to be one, which keeps the
 * id of the first. So the visits are what the presence told so far adds up to, in whichever order it was told.
 */
export function mergeVisits(
  visits: readonly SessionRecord[],
  fact: VisitEvent,
  origin: InstanceIdentity
): SessionRecord {
  const [first = newRecord(fact, Transport.sessionless, fact.from), ...others] = visits.toSorted(
    (a, b) => a.connectAt - b.connectAt
  )
  const last = [first, ...others].reduce((a, b) => (b.lastSeenAt > a.lastSeenAt ? b : a))
  const merged: SessionRecord = {
    ...first,
    ...[fact.who, ...visits].reduce<ClientInfo>(mergeClientInfo, first),
    disconnectAt: last.disconnectAt,
    reason: last.reason,
    clientAddress: fact.clientAddress,
    userAgent: fact.userAgent,
    connectAt: Math.min(first.connectAt, fact.from),
    lastSeenAt: Math.max(last.lastSeenAt, fact.at),
    seenBy: fact.at >= last.lastSeenAt ? origin.id : last.seenBy,
    requestCount: visits.reduce((sum, { requestCount }) => sum + requestCount, fact.requests)
  }
  if (last.reason === 'idle' && fact.at > last.lastSeenAt) merged.reason = null
  if (merged.reason === null) merged.disconnectAt = merged.connectAt
  return merged
}

/**
 * Merges a final end. The earliest one counts; a session was open for at least the millisecond before it. Where it was
 * not used for `idleTimeoutMs` (0: no limit) before that end, it was idle first; and where the proxy of its stream died
 * before it was found gone, it was lost first.
 */
export function mergeClose(
  before: SessionRecord,
  close: Pick<CloseEvent, 'at' | 'reason' | 'transport'>,
  rules: LedgerRules
): SessionRecord {
  if ((close.transport ?? before.transport) !== before.transport) return before
  const { closedAt, closedBy } = before
  const isFirst = closedAt === null || closedBy === null || precedes(close, closedAt, closedBy)
  const [at, by] = isFirst ? [close.at, close.reason] : [closedAt, closedBy]
  // Should the proxy turn out to live, that is taken back, as by an end that only the stream's holder can see.
  if (before.reason === 'lost' && close.reason === 'gone' && at > before.disconnectAt)
    return { ...before, closedAt: at, closedBy: by }
  return isFirst || before.reason === 'lost' ? ended(before, at, by, rules) : before
}

/** A legacy session lives as long as its stream; of one whose stream nobody saw, only silence tells. */
export const mayIdle = ({ transport, holder }: Pick<SessionRecord, 'transport' | 'holder'>): boolean =>
  transport !== Transport.sse || holder === null

function ended(
  record: SessionRecord,
  closedAt: number,
  closedBy: FinalReason,
  rules: LedgerRules
): SessionRecord {
  const idleAt = record.lastSeenAt + idleAfterMs(rules)
  const idle = mayIdle(record) && idleAt < closedAt
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
function contradicts(record: SessionRecord, at: number, origin: InstanceIdentity): boolean {
  if (record.reason === 'idle') return at > record.lastSeenAt || !mayIdle(record)
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

function newRecord(
  { endpointId, sessionId }: { endpointId: string; sessionId: string },
  transport: Transport,
  at: number
): SessionRecord {
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
