// Owns the store port: what a ledger's database must do, whichever it is. All times are epoch milliseconds, UTC.
import type { Principal, PrincipalKind } from '../mcp/principal.js'
import type { StoredId } from '../mcp/stored-ids.js'
import type { Transport } from '../mcp/transports.js'
import type { PortableMetric } from '../metrics/metric.js'
import type { CloseReason, LedgerEvent } from '../sessions/events.js'
import type { KnownSession } from '../sessions/unplaced-messages.js'
import { TurnstileError } from '../util/errors.js'
import type { EpochMs } from '../util/time.js'
import type {
  EventPosition,
  EventsPart,
  EventsQuery,
  NoEvents,
  WebhookTurn,
  WebhookTurnRequest
} from './event-port.js'
import type { SessionRow } from './session-row.js'

export type { SessionRow }

/** The store cannot be used as it is, and waiting does not help. The message says what to change. */
export class UnusableStoreError extends TurnstileError {
  readonly code = 'TURNSTILE_UNUSABLE_STORE'
}

/** A session that was found to be used on behalf of two principals. */
export type SharedSession = Pick<SessionRow, 'endpointId' | 'connectAt'>

/** What came of the entries that were applied. */
export interface Applied {
  /** How many sessions are counted at `OTHER_ENDPOINT` because of `LedgerRules.maxEndpoints`. */
  othersSessions: number
  /** The sessions that turned out to be used on behalf of two principals, each once. */
  shared: readonly SharedSession[]
}

/** Which sessions are asked for: those that are all that is said here. */
export interface SessionsFilter {
  endpointId?: StoredId
  transport?: Transport
  /** Of this gateway. */
  upstream?: string
  principal?: string
  conversation?: StoredId
}

/** Sessions connected at any moment of `[start, end]`: `connectAt <= end` and still open or `disconnectAt > start`. */
export interface SessionsQuery extends SessionsFilter {
  /** True: only open sessions; false: only closed ones. */
  open?: boolean
  start: EpochMs
  end: EpochMs
  /** How many rows at most. */
  limit: number
  /** The last row of the page before; rows come in the order of (connectAt, id), both falling. */
  after?: { connectAt: EpochMs; id: number }
}

/** How many sessions an endpoint has open. */
export interface EndpointCount {
  endpointId: StoredId
  connectNum: number
}

/** Open sessions, and the different principals and conversations that they have; a session without one counts as itself. */
export interface OpenCounts {
  openNum: number
  principalNum: number
  conversationNum: number
}

/** What a principal has on one endpoint, or on all. */
export interface PrincipalRow {
  id: number
  principal: string
  kind: PrincipalKind | null
  /** Open sessions. */
  activeNum: number
  /** Sessions whose rows are kept. */
  sessionNum: number
  /** Requests of those. */
  requestNum: number
  lastSeenAt: EpochMs
  /** Its endpoints, by their ids, at most 100. */
  endpointIds: StoredId[]
}

/** Principals with the most open sessions first; of those with as many, who has the most sessions. */
export interface PrincipalsQuery {
  endpointId?: StoredId
  limit: number
  /** The last one of the page before. */
  after?: Pick<PrincipalRow, 'activeNum' | 'sessionNum' | 'id'>
}

/** The open sessions of a principal; session-less clients hold none. */
export interface PrincipalSessionsQuery {
  principal: Principal
  instanceId: string
  /** How many rows at most; 0: only the number is asked for. */
  limit: number
}

/** What came of it, all at one moment. */
export interface PrincipalSessions {
  openNum: number
  /** Those that connected first. */
  rows: SessionRow[]
  /** As in `StoreReader.liveCounts`. */
  appliedOffset: number
}

/** The name of a principal was erased. */
export interface Erasure {
  /** What stands in its place. */
  token: string
  /** In so many sessions. */
  sessions: number
}

/** How many sessions a gateway has open. */
export interface UpstreamCount {
  upstream: string
  connectNum: number
}

/** What an instance has of a gateway. */
export interface UpstreamReport {
  name: string
  url: string
  /** Its settings name it. */
  isListed: boolean
  /** It knows that the gateway is drained. */
  isDraining: boolean
  /** Open sessions, those that the store does not have yet included. */
  sessions: number
  /** Under way through it. */
  requests: number
  streams: number
  /** Since when the gateway takes no connections of it; null: it takes them. */
  failingSince: EpochMs | null
}

/** What an instance must know to report its gateways; all by name. */
export interface UpstreamOrders {
  /** Those that operators drained. */
  drained: string[]
  /** Those that the store has reports of from this instance. */
  reported: string[]
}

/** A gateway as all instances together see it. */
export interface UpstreamState extends Omit<UpstreamReport, 'sessions'> {
  /** Open sessions. */
  connectNum: number
  /** It is drained, every instance knows that, and none has a session, request or stream there. */
  isSafeToStop: boolean
}

/** Minute boundaries T with `start <= T <= end`, both multiples of 60,000. */
export interface SeriesQuery {
  endpointId?: StoredId
  start: EpochMs
  end: EpochMs
  /** Whether `peak` is wanted; it is read from the rows, so it is for ranges of at most 24 h. */
  peak: boolean
}

/** One minute of one endpoint. */
export interface SeriesPoint {
  time: EpochMs
  endpointId: StoredId
  /** Sessions open at `time`. */
  connectNum: number
  /** Sessions that opened within `[time, time + 60 s)`. */
  opened: number
  /** Sessions that closed within that minute. */
  closed: number
  /** The most sessions open at once within that minute; null where it was not asked for or rows of that time are deleted. */
  peak: number | null
}

/** Which uses of tools are asked for, in hours that begin with that of `start`, and until `end`. */
export interface ToolUsageQuery {
  endpointId?: StoredId
  start: EpochMs
  end: EpochMs
  /** How they are added up; days are of UTC. */
  by: 'hour' | 'day' | 'total'
  /** How many at most. */
  limit: number
}

/** How a tool of an endpoint was used in an hour or day, or in all of the time asked for. */
export interface ToolUsage {
  /** Null for all of the time. */
  startAt: EpochMs | null
  endpointId: StoredId
  tool: string
  calls: number
  errors: number
  durationSumMs: number
  durationMaxMs: number
}

/** An instance of this store: a proxy with its data directory. */
export interface InstanceRow {
  id: string
  heartbeatAt: EpochMs
  /** It sent no heartbeat for its lease, so its streams were closed. */
  isLost: boolean
}

/** Exact numbers of sessions. */
export interface Totals {
  /** Open now. */
  openNum: number
  /** Ever opened, deleted rows included. */
  openedNum: number
}

/** Open sessions, as the metrics count them. */
export interface Census {
  /** Open sessions now. All endpoints that the query did not name are counted together, with null as their id. */
  open: { endpointId: StoredId | null; transport: Transport; upstream: string | null; openNum: number }[]
  /** Endpoints that the store has. */
  endpointNum: number
  /** By how much the counts of the endpoints and the open rows differ; 0 if all is right. */
  drift: number
}

/** A session that opened (or opened again): its row as it is now. Or one that closed: what it was at that commit. */
export type FeedChange =
  | { kind: 'opened'; session: SessionRow }
  | {
      kind: 'closed'
      endpointId: StoredId
      sessionId: StoredId
      connectAt: EpochMs
      disconnectAt: EpochMs
      reason: CloseReason
    }

/** A part of the feed, in the order in which it was committed. */
export interface FeedPart {
  /** Where it ends: pass it as `after` to get what comes later. */
  position: number
  changes: FeedChange[]
}

/** One entry of the outbox. */
export interface OutboxEntry {
  /** The place in this instance's outbox: grows by one with each entry and is never used again. */
  offset: number
  /** Which start of the instance wrote it. */
  boot: number
  event: LedgerEvent
}

/** A process of an instance: `id` is kept in the data directory, `boot` grows by one at each start. */
export interface InstanceIdentity {
  id: string
  boot: number
}

/** What time it is. */
export interface StoreTimes {
  /** The store's own clock. */
  storeAt: EpochMs
  /** The latest heartbeat of an instance that is not taken for lost; 0: there is none. */
  toldAt: EpochMs
}

/** What an instance learns when it sends its heartbeat. */
export interface Heartbeat {
  /** The store's own clock. */
  storeAt: EpochMs
  /** The heartbeat after which another instance last took it for lost and closed its streams; null: never. */
  lostAt: EpochMs | null
  /** When the name of a principal was last erased; null: never. */
  erasedAt: EpochMs | null
  /** The other instances of this store that are not taken for lost, with their last heartbeats. */
  others: { id: string; heartbeatAt: EpochMs }[]
}

/** The rules by which sessions end and endpoints are kept, given once, when the store is made. All instances of a store must have the same. */
export interface LedgerRules {
  /**
   * A session that was not used for so long (in milliseconds) before its end was idle first; 0: no session is ever idle.
   * The setting `--session-idle-timeout`.
   */
  idleTimeoutMs: number
  /**
   * So many endpoints are kept apart, about; sessions of more are counted at `OTHER_ENDPOINT`. 0 or left out: all are. The
   * setting `--max-endpoints`.
   */
  maxEndpoints?: number
}

/** What became of an endpoint that was to be deleted. `more`: call again; `open`: it has open sessions; `unknown`: there is none. */
export type EndpointDeletion = 'deleted' | 'more' | 'open' | 'unknown'

/** What the admin port asks. Every method throws what the database throws when it cannot be read. */
export interface StoreReader {
  connections(query: SessionsQuery): Promise<SessionRow[]>
  /** Rows with this session id, on whichever endpoint, the newest row first. */
  session(sessionId: StoredId): Promise<SessionRow[]>
  /** The legacy sessions with these ids, on whichever endpoint; of one id, the one that connected last comes first. */
  legacySessions(sessionIds: readonly StoredId[]): Promise<KnownSession[]>
  /**
   * One row for each endpoint that ever had a session, ordered by endpoint; or just the endpoint asked for, even if it
   * never had one. With a transport or a gateway only its sessions are counted, and the rows stay the same (with 0 where it
   * has none).
   */
  counts(query: SessionsFilter): Promise<EndpointCount[]>
  openCounts(query: SessionsFilter): Promise<OpenCounts>
  principals(query: PrincipalsQuery): Promise<PrincipalRow[]>
  /** Where more than the endpoint is named, `openedNum` counts the rows that are kept. */
  totals(query: SessionsFilter): Promise<Totals>
  /**
   * The open sessions by endpoint, session-less clients not counted, and the outbox offset of an instance at the same moment
   * (0 if it never registered): the counts include all entries of its outbox up to that offset, and none after it.
   */
  liveCounts(query: { instanceId: string }): Promise<{ appliedOffset: number; counts: EndpointCount[] }>
  /** The open sessions by gateway, those of a known one, and the outbox offset as in `liveCounts`. */
  upstreamCounts(query: { instanceId: string }): Promise<{ appliedOffset: number; counts: UpstreamCount[] }>
  /** The sessions that go on under the token of a name that was erased are among them. */
  principalSessions(query: PrincipalSessionsQuery): Promise<PrincipalSessions>
  /** The gateways that the instances have, by name. */
  upstreams(): Promise<UpstreamState[]>
  upstreamOrders(query: { instanceId: string }): Promise<UpstreamOrders>
  /** What `connections` returns, and the totals and open counts of the same filter at the same moment. */
  snapshot(query: SessionsQuery): Promise<{ rows: SessionRow[]; totals: Totals; open: OpenCounts }>
  /** The endpoints with the most open sessions, the busiest first. */
  busiest(query: { limit: number }): Promise<StoredId[]>
  census(query: { named: readonly StoredId[] }): Promise<Census>
  /** The instances whose last heartbeat came after `since`, the latest first. */
  instances(since: EpochMs): Promise<InstanceRow[]>
  /**
   * The opens and closes committed after a position, at most `limit`; without a position none, only where the feed ends
   * now. Each change comes once and none is left out, as long as the caller asks again while the feed is kept (see
   * `deleteFeed`).
   */
  feed(query: { after?: number; limit: number }): Promise<FeedPart>
  /** By time; within an hour or day the tools with the most calls first. */
  toolUsage(query: ToolUsageQuery): Promise<ToolUsage[]>
  /** The opens, closes and reopens committed after a place, each once, none left out. */
  events(query: EventsQuery): Promise<EventsPart | NoEvents>
  /** The place after all events that are committed. */
  eventsEnd(): Promise<EventPosition>
  /** Points ordered by endpoint and time, in chunks small enough for an event loop. */
  series(query: SeriesQuery): AsyncIterable<SeriesPoint[]>
}

/** A session that was closed as idle. */
export type IdleSession = Pick<SessionRow, 'endpointId' | 'sessionId' | 'transport'>

/**
 * What the shipper and the store maintenance write. Every method is one transaction, or several that can each be repeated,
 * and throws what the database throws when it cannot be written. `now` is the ledger's clock as the caller knows it.
 */
export interface StoreWriter {
  /** Makes the tables, or brings them up to date; idempotent, and safe when several processes do it at once. */
  migrate(): Promise<void>
  times(): Promise<StoreTimes>
  /** Registers the process; returns the offset up to which its outbox was applied (0: nothing yet). */
  register(instance: InstanceIdentity, now: EpochMs): Promise<{ appliedOffset: number }>
  /**
   * Applies the entries after the instance's applied offset, and commits the new offset in the same transaction. Throws
   * `NotRegisteredError` where the store does not know the instance (any more).
   */
  apply(instance: InstanceIdentity, entries: readonly OutboxEntry[], now: EpochMs): Promise<Applied>
  /** Throws `NotRegisteredError` where the store does not know the instance (any more). */
  heartbeat(instance: InstanceIdentity, now: EpochMs): Promise<Heartbeat>
  /** Throws where the store could not take a statement that it does not know yet. */
  probe(): Promise<void>
  /**
   * Marks an instance as lost and closes its streams as `lost` at its last heartbeat, if that is still `heartbeatAt`;
   * returns how many.
   */
  loseStreams(id: string, heartbeatAt: EpochMs, now: EpochMs): Promise<number>
  /** Closes sessions not used for the idle timeout (`LedgerRules`) as `idle` at its end, at most a batch; returns them. */
  closeIdle(now: EpochMs): Promise<IdleSession[]>
  /**
   * Takes the ends that were noted before `notedBefore`, or before 10,000 others, because their session was unknown, at most a batch; applies those
   * whose session is known by now, forgets the others, and returns how many there were.
   */
  settleEarlyCloses(notedBefore: EpochMs, now: EpochMs): Promise<number>
  /** Deletes sessions that ended before `before`, at most a batch; returns how many. Counts and roll-ups keep them. */
  deleteEnded(before: EpochMs): Promise<number>
  /**
   * Puts a token in the place of a principal's name, in all sessions, and in those that are told of later up to `now`. `again`: in
   * none that is known to be the principal's since a later time only.
   */
  erasePrincipal(principal: string, now: EpochMs, options?: { again: boolean }): Promise<Erasure>
  /** Deletes the changes (and events) that entered the feed before `before`, at most a batch; returns how many. */
  deleteFeed(before: EpochMs): Promise<number>
  /** Deletes roll-ups, and uses of tools, of the days (UTC) before the one that holds `before`, at most a batch; returns how many. */
  deleteRollups(before: EpochMs): Promise<number>
  /**
   * Deletes an endpoint that has no open session, with all its sessions, counts and roll-ups, a batch of them at a time. A
   * session of it that is seen later makes it anew.
   */
  deleteEndpoint(endpointId: StoredId, now: EpochMs): Promise<EndpointDeletion>
  /**
   * Where there are nearly as many endpoints as `LedgerRules.maxEndpoints`, deletes those without any session left that had
   * none since `before`, at most a batch; returns how many.
   */
  deleteOldEndpoints(before: EpochMs, now: EpochMs): Promise<number>
  /** Replaces what an instance told of its gateways. */
  reportUpstreams(instance: InstanceIdentity, reports: readonly UpstreamReport[], now: EpochMs): Promise<void>
  /** Drains a gateway, or takes that back. */
  drainUpstream(name: string, on: boolean, now: EpochMs): Promise<void>
  /** Undefined: it is somebody else's turn. */
  takeWebhookTurn(request: WebhookTurnRequest): Promise<WebhookTurn | undefined>
  /** Metrics of the opens and closes that these methods committed since the process started, each counted once. */
  metrics(): Promise<PortableMetric[]>
}

/** A whole store: it connects when it is first used. */
export interface Store extends StoreReader, StoreWriter {
  close(): Promise<void>
}

/** The names of all methods of a port. The compiler refuses a record that leaves one out or names one too many. */
const methodsOf = <Port>(methods: Record<keyof Port, true>): readonly (keyof Port)[] =>
  Object.keys(methods) as (keyof Port)[]

/** Every method of `StoreReader`: the one list for whoever passes the calls on to another thread or process. */
export const readerMethods = methodsOf<StoreReader>({
  connections: true,
  session: true,
  legacySessions: true,
  counts: true,
  openCounts: true,
  principals: true,
  liveCounts: true,
  upstreamCounts: true,
  principalSessions: true,
  upstreams: true,
  upstreamOrders: true,
  totals: true,
  snapshot: true,
  busiest: true,
  census: true,
  instances: true,
  feed: true,
  toolUsage: true,
  events: true,
  eventsEnd: true,
  series: true
})

/** Every method of `StoreWriter`, as `readerMethods`. */
export const writerMethods = methodsOf<StoreWriter>({
  migrate: true,
  times: true,
  register: true,
  apply: true,
  heartbeat: true,
  probe: true,
  loseStreams: true,
  closeIdle: true,
  settleEarlyCloses: true,
  deleteEnded: true,
  erasePrincipal: true,
  deleteFeed: true,
  deleteRollups: true,
  deleteEndpoint: true,
  deleteOldEndpoints: true,
  reportUpstreams: true,
  drainUpstream: true,
  takeWebhookTurn: true,
  metrics: true
})
