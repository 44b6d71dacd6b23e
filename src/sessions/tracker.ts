// Owns the life cycle of the sessions this process sees: observations in, ledger events out; no I/O, no timers.
import { isUnknownClient } from '../mcp/client-info.js'
import { sessionKey, storedId } from '../mcp/stored-ids.js'
import { Transport } from '../mcp/transports.js'
import type { FinalReason, SessionEvent, VisitEvent } from './events.js'
import {
  type Client,
  type Identity,
  type Observation,
  type StreamableResponse,
  type SessionNews
} from './observations.js'
import { closeEvent, newSession, openEvent, type TrackedSession, type Subject, useEvent } from './session.js'
import { messageSignal, pingSignal, type Signal, streamableSignal } from './signals.js'
import { type Suspect, Suspects } from './suspects.js'
import { UseBatching } from './use-batching.js'
import { VisitTracker } from './visits.js'

/** `held`: its legacy stream runs through this process, so only that stream's end ends it. */
type State = 'unknown' | 'open' | 'held'
type Input = Exclude<Signal, 'visit'> | SessionNews['kind'] | 'stream-opened' | 'stream-ended'
type Action = 'begin' | 'resume' | 'hold' | 'count' | 'touch' | 'tell' | 'suspect' | 'end' | 'ignore'

/** What each input does to a session in each state. */
const actions: Readonly<Record<Input, Readonly<Record<State, Action>>>> = {
  open: { unknown: 'begin', open: 'count', held: 'count' },
  use: { unknown: 'begin', open: 'count', held: 'count' },
  // Accepted by a revision without sessions: an old gateway takes that for use, a new one does not look at the id.
  claim: { unknown: 'ignore', open: 'count', held: 'count' },
  // Its stream was accepted, so it was told before.
  'server-message': { unknown: 'resume', open: 'touch', held: 'touch' },
  // The gateway has it, and takes the session for used if there is one: that is no proof.
  unanswered: { unknown: 'ignore', open: 'touch', held: 'ignore' },
  // An unknown one may be in use through another proxy.
  'upstream-ended': { unknown: 'suspect', open: 'suspect', held: 'ignore' },
  // A ping is activity for the gateway, so it is for the ledger, but no request of the client.
  living: { unknown: 'tell', open: 'touch', held: 'ignore' },
  'stream-opened': { unknown: 'hold', open: 'hold', held: 'ignore' },
  'stream-ended': { unknown: 'ignore', open: 'ignore', held: 'end' },
  // A session not seen before may be one that another proxy, or this one before a restart, saw open.
  delete: { unknown: 'end', open: 'end', held: 'ignore' },
  gone: { unknown: 'end', open: 'end', held: 'ignore' },
  none: { unknown: 'ignore', open: 'ignore', held: 'ignore' }
}

const finalReasons: Readonly<Partial<Record<Input, FinalReason>>> = {
  delete: 'delete',
  gone: 'gone',
  'stream-ended': 'stream_end'
}

/** A session used again sooner keeps its place among the others: to change it at each use costs as much as all the rest. */
const ORDER_MS = 1_000

/** Of whom only sessions that are known already are told. */
const NOBODY: Client = { address: '', userAgent: undefined }

export interface TrackerOptions {
  /** After which the ledger takes a session or visit for ended, so that it is forgotten here; 0: never. */
  idleTimeoutMs?: number
  maxRemembered?: number
  /** A session was seen to open (1), or one known here ended (-1); before its event comes out. */
  onChange?: (endpointId: string, by: 1 | -1) => void
}

/**
 * Turns observations into ledger events. The first proof of a session, who its client is (live views tell it with the
 * open) and its end come out at once; uses in between are coalesced until `flush`. What it remembers is bounded: a session forgotten and seen again is told to the
 * ledger as open once more, which changes nothing there. Sessions that may be gone wait in `suspects`.
 */
export class SessionTracker {
  /** Sessions without a stream of their own, least recently used first, but for `ORDER_MS`. */
  readonly #open = new Map<string, TrackedSession>()
  readonly #held = new Map<string, TrackedSession>()
  /** Endpoint of each held session, for messages that do not name it. */
  readonly #heldEndpoints = new Map<string, string>()
  readonly #untold: UseBatching<TrackedSession>
  readonly #idleTimeoutMs: number
  readonly #visits: VisitTracker
  readonly #maxRemembered: number
  readonly #onChange: (endpointId: string, by: 1 | -1) => void
  readonly suspects: Suspects

  constructor({ idleTimeoutMs = 0, maxRemembered = 100_000, onChange }: TrackerOptions = {}) {
    this.#idleTimeoutMs = idleTimeoutMs
    this.#untold = new UseBatching(idleTimeoutMs)
    this.#visits = new VisitTracker(idleTimeoutMs, maxRemembered)
    this.#maxRemembered = maxRemembered
    this.#onChange = onChange ?? (() => undefined)
    this.suspects = new Suspects(maxRemembered)
  }

  /** Ids that are not visible ASCII and therefore stay unaccounted, since the process started. */
  unstorableIds = 0

  observe(observation: Observation): SessionEvent[] {
    switch (observation.kind) {
      case 'streamable': {
        const input = streamableSignal(observation)
        if (input === 'visit') return this.#visit(observation)
        const id = input === 'open' ? observation.issuedSessionId : observation.sessionId
        return this.#take(input, observation.endpointId, id, Transport.streamable, observation)
      }
      case 'server-message':
      case 'upstream-ended':
      case 'unanswered':
        return this.#take(
          observation.kind,
          observation.endpointId,
          observation.sessionId,
          Transport.streamable,
          observation
        )
      case 'ping-answer':
        return this.#take(
          pingSignal(observation),
          observation.endpointId,
          observation.sessionId,
          Transport.streamable,
          { client: NOBODY, at: observation.at }
        )
      case 'message':
        return this.#take(
          messageSignal(observation),
          this.#endpointOf(observation),
          observation.sessionId,
          Transport.sse,
          observation
        )
      case 'legacy-opened':
      case 'legacy-ended': {
        const input = observation.kind === 'legacy-opened' ? 'stream-opened' : 'stream-ended'
        return this.#take(input, observation.endpointId, observation.sessionId, Transport.sse, observation)
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

  /** The session, by its stored ids, may be gone. */
  suspect(session: Suspect): void {
    this.suspects.add(sessionKey(session), session)
  }

  /**
   * Uses not yet told that are due at `now` (epoch ms), one event a session or session-less client; `atLeast` so many of
   * each, if there are.
   */
  flush(now: number, atLeast?: number): SessionEvent[] {
    const uses = this.#untold.take(now, atLeast).map(session => useEvent(session))
    this.#forgetIdle(now)
    return [...uses, ...this.#visits.flush(now, atLeast)]
  }

  /** The sessions whose legacy stream runs through this process: still open at `at` (epoch ms). */
  held(at: number): SessionEvent[] {
    return Array.from(this.#held.values(), session =>
      useEvent({ ...session, lastSeenAt: at, pendingRequests: 0 })
    )
  }

  #visit(answer: StreamableResponse): VisitEvent[] {
    const endpointId = storedId(answer.endpointId)
    if (endpointId !== undefined && answer.visitor !== undefined)
      return this.#visits.request(endpointId, answer.visitor, answer)
    this.unstorableIds++
    return []
  }

  #identify(identity: Identity): SessionEvent[] {
    if (isUnknownClient(identity.who)) return []
    const endpointId = this.#endpointOf(identity)
    const sessionId = storedId(identity.sessionId)
    if (endpointId === undefined || sessionId === undefined) return []
    const key = `${storedId(endpointId)} ${sessionId}`
    const session = this.#held.get(key) ?? this.#open.get(key)
    if (!session) return []
    this.#untold.delete(session)
    return [useEvent(session, identity.who)]
  }

  /** Of a message: the path may not name its endpoint, but the stream of its session did. */
  #endpointOf({ endpointId, sessionId }: { endpointId: string | undefined; sessionId: string }) {
    return endpointId ?? this.#heldEndpoints.get(storedId(sessionId) ?? '')
  }

  #take(
    input: Input,
    rawEndpointId: string | undefined,
    rawSessionId: string | undefined,
    transport: Transport,
    { client, at }: { client: Client; at: number }
  ): SessionEvent[] {
    if (input === 'none' || rawEndpointId === undefined || rawSessionId === undefined) return []
    const endpointId = storedId(rawEndpointId)
    const sessionId = storedId(rawSessionId)
    if (endpointId === undefined || sessionId === undefined) {
      this.unstorableIds++
      return []
    }
    return this.#act(input, { endpointId, sessionId, transport, client, at })
  }

  #act(input: Input, subject: Subject): SessionEvent[] {
    const key = sessionKey(subject)
    const held = this.#held.get(key)
    const session = held ?? this.#open.get(key)
    const state: State = held ? 'held' : session ? 'open' : 'unknown'
    const action = actions[input][state]
    // The gateway looks for it among those of the transport that it is asked on.
    if (action === 'end' && session && session.transport !== subject.transport) return []
    // A session seen first by its use is open already, for whoever saw it open.
    if (state === 'unknown' && (input === 'open' || action === 'hold')) this.#onChange(subject.endpointId, 1)
    if (session && action === 'end') this.#onChange(subject.endpointId, -1)
    if (action !== 'ignore' && input !== 'unanswered') this.suspects.clear(key)
    switch (action) {
      case 'begin':
        return [...this.#remember(key, subject), openEvent(subject, false)]
      case 'resume':
        return [...this.#remember(key, subject), useEvent(newSession(subject))]
      case 'hold':
        this.#open.delete(key)
        this.#held.set(key, session ?? newSession(subject))
        this.#heldEndpoints.set(subject.sessionId, subject.endpointId)
        return [openEvent(subject, true)]
      case 'count':
        session!.pendingRequests++
        this.#touch(key, session!, subject.at)
        return []
      case 'touch':
        this.#touch(key, session!, subject.at)
        return []
      case 'tell':
        return [useEvent(newSession(subject))]
      case 'suspect':
        this.suspect({ endpointId: subject.endpointId, sessionId: subject.sessionId })
        return []
      case 'end':
        return [...this.#forget(key, session), closeEvent(subject, finalReasons[input]!)]
      case 'ignore':
        return []
    }
  }

  #touch(key: string, session: TrackedSession, at: number): void {
    session.lastSeenAt = Math.max(session.lastSeenAt, at)
    this.#untold.add(session)
    if (at - session.orderedAt < ORDER_MS) return
    session.orderedAt = at
    if (this.#open.delete(key)) this.#open.set(key, session)
  }

  /** Remembers a session; what was pending of the one that makes room comes out. */
  #remember(key: string, subject: Subject): SessionEvent[] {
    this.#open.set(key, newSession(subject))
    if (this.#open.size <= this.#maxRemembered) return []
    const [oldestKey, oldest] = this.#open.entries().next().value!
    return this.#forget(oldestKey, oldest)
  }

  #forgetIdle(now: number): void {
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
    return this.#untold.delete(session) ? [useEvent(session)] : []
  }
}
