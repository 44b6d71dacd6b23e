// Owns the life cycle of the sessions this process sees: observations in, ledger events out; no I/O, no timers.
import { isSameClientInfo, isUnknownClient, mergeClientInfo } from '../mcp/client-info.js'
import {
  sessionKey,
  storedEndpointId,
  type StoredId,
  storedSessionId,
  type WireId
} from '../mcp/stored-ids.js'
import { Transport } from '../mcp/transports.js'
import type { EpochMs } from '../util/time.js'
import type { FinalReason, SessionEvent, UseEvent, VisitEvent } from './events.js'
import type { Client, Identity, Observation, SessionNews, StreamableResponse } from './observations.js'
import { closeEvent, newSession, openEvent, type Sighting, type TrackedSession, useEvent } from './session.js'
import { messageSignal, pingSignal, type Signal, streamableSignal } from './signals.js'
import { Suspects } from './suspects.js'
import { UseBatching } from './use-batching.js'
import { VisitTracker } from './visits.js'

/** `held`: its legacy stream runs through this process, so only that stream's end ends it. */
type State = 'unknown' | 'open' | 'held'
type Input = Exclude<Signal, 'visit'> | SessionNews['kind'] | 'stream-opened' | 'stream-ended'
/**
 * What is done with the session of an observation.
 * - `open`: it is remembered and reported as open.
 * - `resume`: it is remembered, and reported as used: whoever saw it open reported that.
 * - `hold`: it is remembered as held, and reported as open.
 * - `count`: it is in use by one more request, which the next flushes report.
 * - `touch`: it is in use, but not by a request of its client.
 * - `report`: it is reported as used at once, and not remembered.
 * - `suspect`: it may be gone, and waits among the suspects.
 * - `close`: it is forgotten and reported as closed.
 * - `ignore`: nothing.
 */
type Action = 'open' | 'resume' | 'hold' | 'count' | 'touch' | 'report' | 'suspect' | 'close' | 'ignore'

/** What each input does to a session in each state. */
const actions: Readonly<Record<Input, Readonly<Record<State, Action>>>> = {
  open: { unknown: 'open', open: 'count', held: 'count' },
  use: { unknown: 'open', open: 'count', held: 'count' },
  // Of a revision without sessions: an old server takes that for use of the session, a new one does not look at the id.
  claim: { unknown: 'ignore', open: 'count', held: 'count' },
  // The request for its stream was accepted, so it was reported before.
  'server-message': { unknown: 'resume', open: 'touch', held: 'touch' },
  // The upstream has the request, and takes the session for used if it knows it; no response says whether it does.
  unanswered: { unknown: 'ignore', open: 'touch', held: 'ignore' },
  // An unknown one may be in use through another proxy.
  'upstream-ended': { unknown: 'suspect', open: 'suspect', held: 'ignore' },
  // A ping is activity for the upstream, so it is for the ledger, but it is no request of the client.
  living: { unknown: 'report', open: 'touch', held: 'ignore' },
  'stream-opened': { unknown: 'hold', open: 'hold', held: 'ignore' },
  'stream-ended': { unknown: 'ignore', open: 'ignore', held: 'close' },
  // A session not seen before may be one that another proxy, or this one before a restart, saw open.
  delete: { unknown: 'close', open: 'close', held: 'ignore' },
  gone: { unknown: 'close', open: 'close', held: 'ignore' },
  none: { unknown: 'ignore', open: 'ignore', held: 'ignore' }
}

const finalReasons: Readonly<Partial<Record<Input, FinalReason>>> = {
  delete: 'delete',
  gone: 'gone',
  'stream-ended': 'stream_end'
}

/**
 * A session that is used again sooner keeps its place in the order of last use: moving it at each use would make V8
 * rebuild the table of the map all the time. Chosen: far less than the shortest idle timeout that makes sense.
 */
const ORDER_MS = 1_000
/** Chosen: some 20 MB of sessions. */
const DEFAULT_MAX_REMEMBERED = 100_000

/** Nobody sent a ping but the proxy itself. No event of a ping names its client. */
const NO_CLIENT: Client = { address: '', userAgent: undefined }

/** How a `SessionTracker` is set up. */
export interface TrackerOptions {
  /** After this time without use the ledger takes a session or visit for ended, and the tracker forgets it; 0: never. */
  idleTimeoutMs: number
  /** How many sessions (and how many session-less clients) without a stream are remembered, and how many suspects. */
  maxRemembered?: number
  /** A session was seen to open (1), or one that is known here ended (-1). Its event comes out next, as the last one. */
  onChange?: (endpointId: StoredId, by: 1 | -1) => void
}

/**
 * Turns observations into ledger events. The first proof of a session, the name of its client (live views show it with
 * the open) and its end come out at once; uses in between are batched until a `flush` reports them. What it remembers is
 * bounded: a session that was forgotten and is seen again is reported as open once more, which changes nothing in the
 * ledger. Sessions that may be gone wait in `suspects`.
 */
export class SessionTracker {
  /** Sessions without a stream of their own, least recently used first, but for `ORDER_MS`; by `sessionKey`. */
  readonly #open = new Map<string, TrackedSession>()
  readonly #held = new Map<string, TrackedSession>()
  /** Endpoint of each held session by the session's id, for messages that do not name it. */
  readonly #heldEndpoints = new Map<StoredId, StoredId>()
  readonly #unreported: UseBatching<TrackedSession>
  readonly #idleTimeoutMs: number
  readonly #visits: VisitTracker
  readonly #maxRemembered: number
  readonly #onChange: (endpointId: StoredId, by: 1 | -1) => void
  /** Sessions that may be gone; signs of life that are observed here clear them. */
  readonly suspects: Suspects

  constructor({ idleTimeoutMs, maxRemembered = DEFAULT_MAX_REMEMBERED, onChange }: TrackerOptions) {
    this.#idleTimeoutMs = idleTimeoutMs
    this.#unreported = new UseBatching(idleTimeoutMs)
    this.#visits = new VisitTracker(idleTimeoutMs, maxRemembered)
    this.#maxRemembered = maxRemembered
    this.#onChange = onChange ?? (() => undefined)
    this.suspects = new Suspects(maxRemembered)
  }

  /** Ids that cannot be stored, so that their requests stay unaccounted, since the process started. */
  unstorableIds = 0

  /** Takes what was seen; what the ledger is to know of it at once comes out. */
  observe(observation: Observation): SessionEvent[] {
    switch (observation.kind) {
      case 'streamable': {
        const input = streamableSignal(observation)
        if (input === 'visit') return this.#visit(observation)
        const id = input === 'open' ? observation.issuedSessionId : observation.sessionId
        return this.#apply(input, observation.endpointId, id, Transport.streamable, observation)
      }
      case 'server-message':
      case 'upstream-ended':
      case 'unanswered':
        return this.#apply(
          observation.kind,
          observation.endpointId,
          observation.sessionId,
          Transport.streamable,
          observation
        )
      case 'ping-response':
        return this.#apply(
          pingSignal(observation),
          observation.endpointId,
          observation.sessionId,
          Transport.streamable,
          { client: NO_CLIENT, at: observation.at }
        )
      case 'message':
        return this.#apply(
          messageSignal(observation),
          this.#endpointOf(observation),
          observation.sessionId,
          Transport.sse,
          observation
        )
      case 'legacy-opened':
      case 'legacy-ended': {
        const input = observation.kind === 'legacy-opened' ? 'stream-opened' : 'stream-ended'
        return this.#apply(input, observation.endpointId, observation.sessionId, Transport.sse, observation)
      }
      case 'visit-message':
        this.#visits.message(observation.visitor, observation.at)
        return []
      case 'listen-ended':
        return this.#visits.listenEnded(observation.visitor, observation.at)
      case 'identity':
        return this.#identify(observation)
    }
  }

  /**
   * Reports the uses that are due at `now`, with one event a session or session-less client; `atLeast` so many of each,
   * if there are. Sessions that idled are forgotten.
   */
  flush(now: EpochMs, atLeast?: number): SessionEvent[] {
    const uses = this.#unreported.flush(now, atLeast).map(session => useEvent(session))
    this.#forgetIdle(now)
    return [...uses, ...this.#visits.flush(now, atLeast)]
  }

  /** Reports once more the sessions whose legacy stream runs through this process: they are still open at `at`. */
  held(at: EpochMs): UseEvent[] {
    return Array.from(this.#held.values(), session =>
      useEvent({ ...session, lastSeenAt: at, pendingRequests: 0 })
    )
  }

  #visit(response: StreamableResponse): VisitEvent[] {
    const endpointId = storedEndpointId(response.endpointId)
    if (endpointId !== undefined && response.visitor !== undefined)
      return this.#visits.request(endpointId, response.visitor, response)
    this.unstorableIds++
    return []
  }

  #identify(identity: Identity): SessionEvent[] {
    if (isUnknownClient(identity.clientInfo)) return []
    const rawEndpointId = this.#endpointOf(identity)
    const endpointId = rawEndpointId === undefined ? undefined : storedEndpointId(rawEndpointId)
    const sessionId = storedSessionId(identity.sessionId)
    if (endpointId === undefined || sessionId === undefined) return []
    const key = sessionKey({ endpointId, sessionId })
    const session = this.#held.get(key) ?? this.#open.get(key)
    if (!session) return []
    const known = mergeClientInfo(session.clientInfo, identity.clientInfo)
    // Each message of MCP 2026-07-28 names its client.
    if (isSameClientInfo(known, session.clientInfo)) return []
    session.clientInfo = known
    this.#unreported.delete(session)
    return [useEvent(session, identity.clientInfo)]
  }

  /** The endpoint of a message: where its path does not name one, it is the endpoint of its session's stream. */
  #endpointOf(message: { endpointId: WireId | undefined; sessionId: WireId }): WireId | StoredId | undefined {
    if (message.endpointId !== undefined) return message.endpointId
    const sessionId = storedSessionId(message.sessionId)
    return sessionId === undefined ? undefined : this.#heldEndpoints.get(sessionId)
  }

  #apply(
    input: Input,
    rawEndpointId: WireId | StoredId | undefined,
    rawSessionId: WireId | StoredId | undefined,
    transport: Transport,
    { client, at }: { client: Client; at: EpochMs }
  ): SessionEvent[] {
    if (input === 'none' || rawEndpointId === undefined || rawSessionId === undefined) return []
    const endpointId = storedEndpointId(rawEndpointId)
    const sessionId = storedSessionId(rawSessionId)
    if (endpointId === undefined || sessionId === undefined) {
      this.unstorableIds++
      return []
    }
    return this.#act(input, { endpointId, sessionId, transport, client, at })
  }

  #act(input: Input, sighting: Sighting): SessionEvent[] {
    const key = sessionKey(sighting)
    const held = this.#held.get(key)
    const session = held ?? this.#open.get(key)
    const state: State = held ? 'held' : session ? 'open' : 'unknown'
    const action = actions[input][state]
    // The upstream looks for a session only among those of the transport on which it is asked.
    if (action === 'close' && session && session.transport !== sighting.transport) return []
    // A session seen first by its use counts already: whoever saw it open counted it.
    if (state === 'unknown' && (input === 'open' || action === 'hold')) this.#onChange(sighting.endpointId, 1)
    if (session && action === 'close') this.#onChange(sighting.endpointId, -1)
    if (action !== 'ignore' && input !== 'unanswered') this.suspects.clear(key)
    switch (action) {
      case 'open':
        return [...this.#remember(key, sighting), openEvent(sighting, false)]
      case 'resume':
        return [...this.#remember(key, sighting), useEvent(newSession(sighting))]
      case 'hold':
        this.#open.delete(key)
        this.#held.set(key, session ?? newSession(sighting))
        this.#heldEndpoints.set(sighting.sessionId, sighting.endpointId)
        return [openEvent(sighting, true)]
      case 'count':
        session!.pendingRequests++
        this.#touch(key, session!, sighting.at)
        return []
      case 'touch':
        this.#touch(key, session!, sighting.at)
        return []
      case 'report':
        return [useEvent(newSession(sighting))]
      case 'suspect':
        this.suspects.add(sighting)
        return []
      case 'close':
        return [...this.#forget(key, session), closeEvent(sighting, finalReasons[input]!)]
      case 'ignore':
        return []
    }
  }

  #touch(key: string, session: TrackedSession, at: EpochMs): void {
    session.lastSeenAt = Math.max(session.lastSeenAt, at)
    this.#unreported.add(session)
    if (at - session.orderedAt < ORDER_MS) return
    session.orderedAt = at
    if (this.#open.delete(key)) this.#open.set(key, session)
  }

  /** Remembers a session. If another one makes room for it, its unreported uses come out. */
  #remember(key: string, sighting: Sighting): SessionEvent[] {
    this.#open.set(key, newSession(sighting))
    if (this.#open.size <= this.#maxRemembered) return []
    const [oldestKey, oldest] = this.#open.entries().next().value!
    return this.#forget(oldestKey, oldest)
  }

  #forgetIdle(now: EpochMs): void {
    if (this.#idleTimeoutMs === 0) return
    for (const [key, { lastSeenAt }] of this.#open) {
      if (lastSeenAt + this.#idleTimeoutMs > now) return
      this.#open.delete(key)
    }
  }

  #forget(key: string, session: TrackedSession | undefined): SessionEvent[] {
    if (!session) return []
    this.#open.delete(key)
    if (this.#held.delete(key)) this.#heldEndpoints.delete(session.sessionId)
    return this.#unreported.delete(session) ? [useEvent(session)] : []
  }
}
