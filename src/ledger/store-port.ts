// Owns the store port: what a ledger's database must do, whichever it is. All times are epoch milliseconds, UTC.
import type { Transport } from '../mcp/transports.js'
import type { PortableMetric } from '../metrics/metric.js'
import type { CloseReason, LedgerEvent } from '../sessions/events.js'

/** A row of `endpoint_logs_v2`. */
export interface SessionRow {
  id: number
  endpointId: string
  sessionId: string
  transport: Transport
  connectAt: number
  /** Equal to `connectAt` while the session is open; later than it, by 1 ms at least, once it is closed. */
  disconnectAt: number
  /** Null while the session is open. */
  reason: CloseReason | null
  lastSeenAt: number
  requestCount: number
  /** The proxy that saw it last. */
  seenBy: string | null
  clientAddress: string
  userAgent: string | null
  clientName: string | null
  clientVersion: string | null
  protocolVersion: string | null
}

/** Sessions connected at any moment of `[start, end]`: `connectAt <= end` and still open or `disconnectAt > start`. */
export interface SessionsQuery {
  endpointId?: string
  transport?: Transport
  /** Only those that are open, or only those that are not. */
  open?: boolean
  start: number
  end: number
  limit: number
  /** The last row of the page before; rows come in the order of (connectAt, id), both falling. */
  after?: { connectAt: number; id: number }
}

export interface EndpointCount {
  endpointId: string
  connectNum: number
}

/** Minute boundaries T with `start <= T <= end`, both multiples of 60,000. */
export interface SeriesQuery {
  endpointId?: string
  start: number
  end: number
  /** Whether `peak` is wanted; it is read from the rows, so it is for ranges of at most 24 h. */
  peak: boolean
}

/** One minute of one endpoint. */
export interface SeriesPoint {
  time: number
  endpointId: string
  /** Sessions open at `time`. */
  connectNum: number
  /** Opened, closed, and the most open at once, within `[time, time + 60 s)`. */
  opened: number
  closed: number
  peak: number | null
}

/** A proxy of this store. */
export interface InstanceRow {
  id: string
  heartbeatAt: number
  /** Not heard of for the lease, so its streams were closed. */
  isLost: boolean
}

/** Sessions open now, and sessions ever opened; both exact. */
export interface Totals {
  openNum: number
  openedNum: number
}

/** Open sessions now; endpoints that were not named are together, as null. */
export interface Census {
  open: { endpointId: string | null; transport: Transport; openNum: number }[]
  /** By how much the counts of the endpoints and the open rows differ; 0 if all is right. */
  drift: number
}

/** A session that opened (again): its row as it is now; or one that closed: what it was when that was committed. */
export type FeedChange =
  | { kind: 'opened'; session: SessionRow }
  | {
      kind: 'closed'
      endpointId: string
      sessionId: string
      connectAt: number
      disconnectAt: number
      reason: CloseReason
    }

/** A part of the feed, in the order in which it was committed. */
export interface FeedPart {
  /** Where it ends: what comes later is asked for with this. */
  position: number
  changes: FeedChange[]
}

/** One entry of the outbox. `seq` grows by one an entry and is never used again. */
export interface OutboxEntry {
  seq: number
  /** Which start of the proxy it comes from. */
  boot: number
  event: LedgerEvent
}

/** A process of a proxy: `id` lives in its data directory, `boot` grows by one at each start. */
export interface InstanceIdentity {
  id: string
  boot: number
}

/** What a proxy learns at its heartbeat. */
export interface Heartbeat {
  /** The heartbeat after which it was last taken for lost (its streams closed by another proxy); null: never. */
  lostAt: number | null
  /** The other proxies of this store that are not taken for lost, by their last heartbeat. */
  others: { id: string; heartbeatAt: number }[]
}

/** What the admin port asks. */
export interface StoreReader {
  connections(query: SessionsQuery): Promise<SessionRow[]>
  /** Rows with this session id, on whichever endpoint. */
  session(sessionId: string): Promise<SessionRow[]>
  /**
   * One row an endpoint that ever had a session (or just the one asked for, also when it never had one), ordered by
   * endpoint; with a transport too, where none of it is open.
   */
  counts(query: { endpointId?: string; transport?: Transport }): Promise<EndpointCount[]>
  totals(query: { endpointId?: string }): Promise<Totals>
  /**
   * The open sessions by endpoint, session-less clients not counted, and the outbox offset of a proxy at the same moment
   * (0 if it never registered): the counts include all entries of its outbox up to it, and none after it.
   */
  liveCounts(query: { instanceId: string }): Promise<{ appliedOffset: number; counts: EndpointCount[] }>
  /** What `connections` answers, and the totals of its endpoint at the same moment. */
  snapshot(query: SessionsQuery): Promise<{ rows: SessionRow[]; totals: Totals }>
  /** The endpoints with the most open sessions. */
  busiest(query: { limit: number }): Promise<string[]>
  census(query: { named: readonly string[] }): Promise<Census>
  /** The proxies of this store heard of after `since`, the one heard of last first. */
  instances(since: number): Promise<InstanceRow[]>
  /**
   * The opens and closes committed after a position, at most `limit`; without a position only where the feed is now.
   * Each comes once and none is left out, if asked again within the minutes for which the feed is kept.
   */
  feed(query: { after?: number; limit: number }): Promise<FeedPart>
  /** Points ordered by endpoint and time, in chunks small enough for an event loop. */
  series(query: SeriesQuery): AsyncIterable<SeriesPoint[]>
}

/** A session that was closed as idle. */
export type IdleSession = Pick<SessionRow, 'endpointId' | 'sessionId' | 'transport'>

/** What the shipper and the keeper write. Every method is one transaction, or several that can each be repeated. */
export interface StoreWriter {
  /** Makes the tables, or brings them up to date; idempotent, and safe when several processes do it at once. */
  migrate(): Promise<void>
  /** Registers the process and tells how far its outbox was applied. */
  register(instance: InstanceIdentity, now: number): Promise<{ appliedSeq: number }>
  /** Applies the entries after the instance's applied position, and that position, in one transaction. */
  apply(instance: InstanceIdentity, entries: readonly OutboxEntry[], now: number): Promise<void>
  heartbeat(instance: InstanceIdentity, now: number): Promise<Heartbeat>
  /** Closes the streams of a proxy not heard of since `heartbeatAt` as `lost` at that moment; how many. */
  loseStreams(id: string, heartbeatAt: number, now: number): Promise<number>
  /** Closes sessions not used for `timeoutMs` as `idle` at that time after their last use, at most a batch; which. */
  closeIdle(timeoutMs: number, now: number): Promise<IdleSession[]>
  /** Applies or forgets ends noted before `notedBefore` whose sessions nobody told, at most a batch; how many. */
  settleEarlyCloses(notedBefore: number, now: number): Promise<number>
  /** Deletes sessions that ended before `before`, at most a batch; how many. Counts and roll-ups keep them. */
  deleteEnded(before: number): Promise<number>
  /** Deletes what the feed told before `before`, at most a batch; how many. */
  deleteFeed(before: number): Promise<number>
  /** Deletes roll-ups of the days before the one that holds `before`, at most a batch; how many. */
  deleteRollups(before: number): Promise<number>
  /** Of what these methods committed since the process started; what a retry finds committed is in none. */
  metrics(): Promise<PortableMetric[]>
}

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
  counts: true,
  liveCounts: true,
  totals: true,
  snapshot: true,
  busiest: true,
  census: true,
  instances: true,
  feed: true,
  series: true
})

/** Every method of `StoreWriter`, as `readerMethods`. */
export const writerMethods = methodsOf<StoreWriter>({
  migrate: true,
  register: true,
  apply: true,
  heartbeat: true,
  loseStreams: true,
  closeIdle: true,
  settleEarlyCloses: true,
  deleteEnded: true,
  deleteFeed: true,
  deleteRollups: true,
  metrics: true
})
