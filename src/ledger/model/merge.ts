// Owns how events about one session become its row: a pure merge whose result does not depend on their order.
import { type ClientInfo, mergeClientInfo } from '../../mcp/client-info.js'
import type { Principal } from '../../mcp/principal.js'
import type { SessionIds, StoredId } from '../../mcp/stored-ids.js'
import { Transport } from '../../mcp/transports.js'
import type {
  Attributed,
  CloseEvent,
  FinalReason,
  OpenEvent,
  OutcomeEvent,
  PresumedReason,
  UseEvent,
  VisitEvent
} from '../../sessions/events.js'
import type { Outcome } from '../../sessions/outcomes.js'
import type { EpochMs } from '../../util/time.js'
import type { InstanceIdentity, LedgerRules, SessionRow } from '../store-port.js'

/** Everything that the store keeps of a session. */
export interface SessionRecord extends Omit<SessionRow, 'id'> {
  /** The id of its row, once it has one. */
  id?: number
  /** The first end that is final; kept beside `disconnectAt` because a presumed end or a `gone` may come before it. */
  closedAt: EpochMs | null
  closedBy: FinalReason | null
  provedAt: EpochMs | null
  /** When the session was found gone after that proof, in rising order (`MAX_GONE_AT`). The first one counts. */
  goneAt: readonly EpochMs[]
  /** The instance whose process held its legacy stream; null where no stream was seen. */
  holder: string | null
  /** Which start of that instance it was. */
  holderBoot: number | null
  /** When it was first used on behalf of its principal. */
  principalAt: EpochMs | null
  /** It was used on behalf of another principal too. */
  isShared: boolean
  /** When it was first used in its conversation. */
  conversationAt: EpochMs | null
}

/** A principal as an event or a record tells it. */
type OwnerOfRecord = Pick<Principal, 'kind' | 'name' | 'erased'> & { oauthClient?: StoredId | null }

/**
 * So many instants of `goneAt` are kept, the first ones and the last one: proofs that come late take away the first ones.
 * Chosen: there are several only where several proxies disagree, or a client repeats a refused request.
 */
const MAX_GONE_AT = 8

/** How long a session lasts without a use, in milliseconds; infinitely where none is ever idle. */
export const idleAfterMs = ({ idleTimeoutMs }: LedgerRules): number => idleTimeoutMs || Infinity

/** Of two final ends at the same millisecond, the one that comes first here counts. */
const finalOrder: readonly FinalReason[] = ['killed', 'delete', 'stream_end', 'gone']

/**
 * Merges a proof that the session is open: its opening or a use. `before` is undefined for a session without a row;
 * `origin` is the process that saw the proof, `replaced` the session of the same client that it ended. Returns a new
 * record, or `before` where the proof adds nothing.
 */
export function mergeProof(
  before: SessionRecord | undefined,
  proof: OpenEvent | UseEvent,
  origin: InstanceIdentity,
  rules: LedgerRules,
  replaced?: ClientInfo
): SessionRecord {
  // What begins no session begins none earlier either, whichever is told first.
  if (before && proof.type === 'use' && proof.ofKnown && proof.at < before.connectAt) return before
  const after = before ? { ...before } : newRecord(proof, proof.transport, proof.at)
  const who = proof.type === 'use' ? proof.who : replaced
  if (who) Object.assign(after, mergeClientInfo(after, who))
  if (proof.type === 'open' && (after.clientAddress === '' || proof.at < after.connectAt)) {
    after.clientAddress = proof.clientAddress
    after.userAgent = proof.userAgent
  }
  if (proof.type === 'open' && proof.held) {
    after.holder = origin.id
    after.holderBoot = origin.boot
    // Whatever messages were told: the session lives and dies with its stream.
    after.goneAt = []
  }
  if (proof.type === 'open' && proof.upstream !== undefined && isLater(proof, before))
    after.upstream = proof.upstream
  attribute(after, proof)
  if (contradicts(after, proof.at, origin)) after.reason = null
  else if (after.reason === 'lost') after.disconnectAt = Math.max(after.disconnectAt, proof.at)
  after.connectAt = Math.min(after.connectAt, proof.at)
  if (proof.at >= after.lastSeenAt) after.seenBy = origin.id
  const provedAt = Math.max(before ? lastProofOf(before) : 0, provedBy(proof))
  after.lastSeenAt = Math.max(after.lastSeenAt, proof.at)
  after.provedAt = provedAt === after.lastSeenAt ? null : provedAt
  after.goneAt = after.goneAt.filter(at => at > provedAt)
  after.requestCount += proof.requests
  if (proof.type === 'use' && proof.outcome) addFigures(after, proof.outcome)
  return isPresumed(after) ? after : settled(after, rules)
}

/** Adds what came of requests. Returns a new record, or `before` where the outcome is that of another transport. */
export function mergeOutcome(before: SessionRecord, { transport, outcome }: OutcomeEvent): SessionRecord {
  if (transport !== before.transport) return before
  const after = { ...before }
  addFigures(after, outcome)
  return after
}

function addFigures(record: SessionRecord, outcome: Outcome): void {
  record.bytesIn += outcome.bytesIn
  record.bytesOut += outcome.bytesOut
  record.callCount += outcome.calls
  record.errorCount += outcome.errors
  record.unreadCount += outcome.unread
}

/** The same of another visit of the same client. */
function addFiguresOf(record: SessionRecord, other: SessionRecord): void {
  record.requestCount += other.requestCount
  const { bytesIn, bytesOut, callCount: calls, errorCount: errors, unreadCount: unread } = other
  addFigures(record, { bytesIn, bytesOut, calls, errors, unread })
}

/** A gateway that was given another name since is known by its last one. */
const isLater = (proof: OpenEvent, before: SessionRecord | undefined): boolean =>
  before?.upstream == null || proof.at > before.lastSeenAt

/**
 * Takes note of whose a session is: of several principals or conversations the first one counts, in whichever order they are
 * told.
 */
function attribute(
  record: SessionRecord,
  { principal, conversation, at }: Attributed & { at: EpochMs }
): void {
  if (principal !== undefined) takePrincipal(record, principal, at)
  if (conversation !== undefined) takeConversation(record, conversation, at)
}

function takePrincipal(record: SessionRecord, told: OwnerOfRecord, at: EpochMs): void {
  const { kind, erased } = told
  // Who is on a session when its name is erased stays nameless there.
  const isErased = erased !== undefined && (at <= erased.at || record.principal === erased.token)
  const name = isErased ? erased.token : told.name
  const oauthClient = isErased ? null : (told.oauthClient ?? null)
  const isSame = record.principal === null || [told.name, erased?.token].includes(record.principal)
  record.isShared ||= !isSame
  const known = `${record.principal}\n${record.oauthClient ?? ''}`
  if (comesFirst(at, `${name}\n${oauthClient ?? ''}`, record.principalAt, known))
    Object.assign(record, { principal: name, principalKind: kind, oauthClient, principalAt: at })
}

function takeConversation(record: SessionRecord, conversation: StoredId, at: EpochMs): void {
  if (comesFirst(at, conversation, record.conversationAt, record.conversation))
    Object.assign(record, { conversation, conversationAt: at })
}

/** The same of another visit of the same client. */
function attributeLike(record: SessionRecord, other: SessionRecord): void {
  const { principal: name, principalKind: kind, oauthClient, principalAt } = other
  record.isShared ||= other.isShared
  if (name !== null && kind !== null && principalAt !== null)
    takePrincipal(record, { kind, name, oauthClient }, principalAt)
  if (other.conversation !== null && other.conversationAt !== null)
    takeConversation(record, other.conversation, other.conversationAt)
}

/** Whether what was told comes before what is known; of the same time, what sorts first. */
const comesFirst = (at: EpochMs, told: string, knownAt: EpochMs | null, known: string | null): boolean =>
  knownAt === null || known === null || at < knownAt || (at === knownAt && told < known)

const provedBy = (proof: OpenEvent | UseEvent): EpochMs =>
  (proof.type === 'use' ? proof.provedAt : undefined) ?? proof.at

/** When the upstream last showed that it knew the session. */
export const lastProofOf = ({ provedAt, lastSeenAt }: Pick<SessionRow, 'provedAt' | 'lastSeenAt'>): EpochMs =>
  provedAt ?? lastSeenAt

const isPresumed = ({ reason }: SessionRecord): boolean => reason === 'idle' || reason === 'lost'

/**
 * Whether an event of a session-less client belongs to this visit of that client: with less than the idle timeout between
 * them they are one visit.
 */
export function belongsTo(visit: SessionRecord, { from, at }: VisitEvent, rules: LedgerRules): boolean {
  const lastsMs = idleAfterMs(rules)
  return from < visit.lastSeenAt + lastsMs && visit.connectAt < at + lastsMs
}

/**
 * Merges an event of a session-less client with all visits to which it belongs: they turn out to be one visit, which keeps
 * the id of the first. So the same events add up to the same visits in whichever order they come. Returns a new record.
 */
export function mergeVisits(
  visits: readonly SessionRecord[],
  event: VisitEvent,
  origin: InstanceIdentity
): SessionRecord {
  const [first = newRecord(event, Transport.sessionless, event.from), ...others] = visits.toSorted(
    (a, b) => a.connectAt - b.connectAt
  )
  const last = [first, ...others].reduce((a, b) => (b.lastSeenAt > a.lastSeenAt ? b : a))
  const merged: SessionRecord = {
    ...first,
    ...[event.who, ...visits].reduce<ClientInfo>(mergeClientInfo, first),
    disconnectAt: last.disconnectAt,
    reason: last.reason,
    clientAddress: event.clientAddress,
    userAgent: event.userAgent,
    connectAt: Math.min(first.connectAt, event.from),
    lastSeenAt: Math.max(last.lastSeenAt, event.at),
    seenBy: event.at >= last.lastSeenAt ? origin.id : last.seenBy,
    requestCount: first.requestCount + event.requests
  }
  for (const visit of others) {
    attributeLike(merged, visit)
    addFiguresOf(merged, visit)
  }
  if (event.outcome) addFigures(merged, event.outcome)
  attribute(merged, { ...event, at: event.from })
  if (last.reason === 'idle' && event.at > last.lastSeenAt) merged.reason = null
  if (merged.reason === null) merged.disconnectAt = merged.connectAt
  return merged
}

/**
 * Merges an end. The earliest one counts, but for a `gone` that a proof at that time or later takes back, or that says
 * nothing because the session's legacy stream was seen: that stream's end is its end. The session was open for at least the
 * millisecond before it. A session that was not used for the idle timeout before that end was idle first. Returns `before`
 * itself where the end changes nothing.
 */
export function mergeClose(
  before: SessionRecord,
  close: Pick<CloseEvent, 'at' | 'reason' | 'transport'>,
  rules: LedgerRules
): SessionRecord {
  if ((close.transport ?? before.transport) !== before.transport) return before
  if (close.reason === 'gone') {
    const isKnown = before.goneAt.includes(close.at) || close.at <= lastProofOf(before)
    if (isKnown || before.holder !== null) return before
    return settled({ ...before, goneAt: withGone(before.goneAt, close.at) }, rules)
  }
  const { closedAt, closedBy } = before
  const isFirst = closedAt === null || closedBy === null || precedes(close, closedAt, closedBy)
  const after = isFirst ? { ...before, closedAt: close.at, closedBy: close.reason } : before
  return isFirst || before.reason === 'lost' ? settled(after, rules) : before
}

function withGone(known: readonly EpochMs[], at: EpochMs): EpochMs[] {
  const all = [...known, at].sort((a, b) => a - b)
  if (all.length > MAX_GONE_AT) all.splice(-2, 1)
  return all
}

/** Whether silence ends a session. A legacy session lives as long as its stream, unless nobody saw that stream. */
export const mayIdle = ({ transport, holder }: Pick<SessionRecord, 'transport' | 'holder'>): boolean =>
  transport !== Transport.sse || holder === null

/** The record with the end that its facts say, apart from a presumed one. */
function settled(record: SessionRecord, rules: LedgerRules): SessionRecord {
  const { closedAt, closedBy } = record
  const [goneAt] = record.goneAt
  const isGone = goneAt !== undefined && (closedAt === null || goneAt < closedAt)
  const endAt = isGone ? goneAt : closedAt
  if (endAt === null) return { ...record, disconnectAt: record.connectAt, reason: null }
  const connectAt = Math.min(record.connectAt, (closedAt ?? Infinity) - 1)
  const idleAt = record.lastSeenAt + idleAfterMs(rules)
  const idle = mayIdle(record) && idleAt < endAt
  return {
    ...record,
    connectAt,
    disconnectAt: Math.max(idle ? idleAt : endAt, connectAt + 1),
    reason: idle ? 'idle' : isGone ? 'gone' : closedBy
  }
}

/**
 * Ends an open session because of silence, at `at` or at its last proof if that is later; a later proof takes that back.
 * Returns `before` itself if it is not open.
 */
export function presumeClosed(before: SessionRecord, at: EpochMs, reason: PresumedReason): SessionRecord {
  if (before.reason !== null) return before
  return { ...before, disconnectAt: Math.max(at, before.lastSeenAt, before.connectAt + 1), reason }
}

/** Whether a proof at `at` from `origin` shows that a presumed end was wrong. */
function contradicts(record: SessionRecord, at: EpochMs, origin: InstanceIdentity): boolean {
  if (record.reason === 'idle') return at > record.lastSeenAt || !mayIdle(record)
  // What others saw of a stream may be older than its end and arrive later. The events of its holder come in order: after
  // one of them, either the stream still lives or its end comes next.
  if (record.reason === 'lost') return record.holder === origin.id && record.holderBoot === origin.boot
  return false
}

function precedes(
  close: Pick<CloseEvent, 'at' | 'reason'>,
  closedAt: EpochMs,
  closedBy: FinalReason
): boolean {
  if (close.at !== closedAt) return close.at < closedAt
  return finalOrder.indexOf(close.reason) < finalOrder.indexOf(closedBy)
}

function newRecord({ endpointId, sessionId }: SessionIds, transport: Transport, at: EpochMs): SessionRecord {
  return {
    endpointId,
    sessionId,
    transport,
    connectAt: at,
    disconnectAt: at,
    reason: null,
    lastSeenAt: at,
    requestCount: 0,
    bytesIn: 0,
    bytesOut: 0,
    callCount: 0,
    errorCount: 0,
    unreadCount: 0,
    seenBy: null,
    upstream: null,
    clientAddress: '',
    userAgent: null,
    clientName: null,
    clientVersion: null,
    protocolVersion: null,
    closedAt: null,
    closedBy: null,
    provedAt: null,
    goneAt: [],
    holder: null,
    holderBoot: null,
    principal: null,
    principalKind: null,
    oauthClient: null,
    principalAt: null,
    isShared: false,
    conversation: null,
    conversationAt: null
  }
}
