// Owns the life cycle of the sessions this process sees: observations in, ledger events out; no I/O, no timers.
import { isSameClientInfo, isUnknownClient, mergeClientInfo } from '../mcp/client-info.js'
import type { Principal } from '../mcp/principal.js'
import {
  type SessionIds,
  sessionKey,
  storedEndpointId,
  type StoredId,
  storedSessionId,
  type WireId
} from '../mcp/stored-ids.js'
import { Transport } from '../mcp/transports.js'
import type { EpochMs } from '../util/time.js'
import type { SessionEvent, ToolEvent, UseEvent, VisitEvent } from './events.js'
import { Newcomers } from './newcomers.js'
import type {
  Attribution,
  Client,
  Identity,
  MessageResponse,
  Observation,
  RequestOutcome,
  StreamableResponse
} from './observations.js'
import { addOutcome } from './outcomes.js'
import { RememberedSessions } from './remembered-sessions.js'
import { actions, finalReasons, type Input, isSilent, proofs, stateOf } from './session-actions.js'
import {
  closeEvent,
  learn,
  newSession,
  openEvent,
  presenceEvent,
  type Sighting,
  type TrackedSession,
  pendingEvent,
  useEvent
} from './session.js'
import { messageSignal, pingSignal, streamableSignal } from './signals.js'
import { StrayOutcomes } from './stray-outcomes.js'
import { Suspects } from './suspects.js'
import { ToolUses } from './tool-uses.js'
import { type KnownSession, UnplacedMessages, type UnplacedSession } from './unplaced-messages.js'
import { UseBatching } from './use-batching.js'
import { VisitTracker } from './visits.js'

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
  /** Whether somebody pings the suspects; otherwise a session in doubt counts as gone at once. */
  confirmSuspects?: boolean
  /** How many session-less clients of an address may be new in a minute; 0: all. */
  maxNewSessionsPerAddress?: number
  /** Messages that wait since before a restart. */
  unplaced?: UnplacedMessages
  /**
   * A session was seen to open (1), or one that is known here ended (-1), on this gateway where that is known. Its event comes
   * out next, as the last one.
   */
  onChange?: (endpointId: StoredId, by: 1 | -1, upstream: string | undefined) => void
  /** A principal has one more session: it opened, or turned out to be used on its behalf. The event of that comes out next. */
  onOwned?: (principal: Principal) => void
}

/**
 * Turns observations into ledger events. The first proof of a session, the name of its client (live views show it with
 * the open) and its end come out at once; uses in between are batched until a `flush` reports them. What it remembers is
 * bounded: a session that was forgotten and is seen again is reported as open once more, which changes nothing in the
 * ledger. Sessions that may be gone wait in `suspects`.
 */
export class SessionTracker {
  readonly #sessions: RememberedSessions
  /** Messages of legacy sessions that are not known here. */
  readonly unplaced: UnplacedMessages
  readonly #unreported: UseBatching<TrackedSession>
  readonly #idleTimeoutMs: number
  readonly #visits: VisitTracker
  readonly #strayOutcomes = new StrayOutcomes()
  readonly #toolUses: ToolUses
  readonly #newcomers: Newcomers
  readonly #confirmSuspects: boolean
  readonly #onChange: NonNullable<TrackerOptions['onChange']>
  readonly #onOwned: NonNullable<TrackerOptions['onOwned']>
  /** Sessions that may be gone; signs of life that are observed here clear them. */
  readonly suspects: Suspects

  constructor({
    idleTimeoutMs,
    maxRemembered = DEFAULT_MAX_REMEMBERED,
    confirmSuspects = true,
    maxNewSessionsPerAddress = 0,
    unplaced = new UnplacedMessages(),
    onChange,
    onOwned
  }: TrackerOptions) {
    this.#idleTimeoutMs = idleTimeoutMs
    this.#unreported = new UseBatching(idleTimeoutMs)
    this.#toolUses = new ToolUses(idleTimeoutMs)
    this.#newcomers = new Newcomers(maxNewSessionsPerAddress)
    this.#visits = new VisitTracker(idleTimeoutMs, maxRemembered, this.#newcomers)
    this.#sessions = new RememberedSessions(maxRemembered)
    this.unplaced = unplaced
    this.#confirmSuspects = confirmSuspects
    this.#onChange = onChange ?? (() => undefined)
    this.#onOwned = onOwned ?? (() => undefined)
    this.suspects = new Suspects(maxRemembered)
  }

  /** Ids that cannot be stored, so that their requests stay unaccounted, since the process started. */
  unstorableIds = 0

  /** Requests of session-less clients that were counted together with those of others. */
  get othersRequests(): number {
    return this.#visits.othersRequests
  }

  /** Takes what was seen; what the ledger is to know of it at once comes out. */
  observe(observation: Observation): SessionEvent[] {
    switch (observation.kind) {
      case 'streamable': {
        const signal = streamableSignal(observation)
        if (signal === 'visit') return this.#visit(observation)
        const { endpointId, sessionId, issuedSessionId } = observation
        const input = signal === 'doubt' && !this.#confirmSuspects ? 'gone' : signal
        if (input !== 'open')
          return this.#apply(input, endpointId, sessionId, Transport.streamable, observation)
        const replaces = this.#replacedBy(observation)
        return [
          ...this.#apply('gone', endpointId, replaces, Transport.streamable, observation),
          ...this.#apply(input, endpointId, issuedSessionId, Transport.streamable, {
            ...observation,
            replaces
          })
        ]
      }
      case 'server-message':
      case 'present':
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
        return this.#message(observation)
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
      case 'outcome':
        return this.#account(observation)
    }
  }

  /**
   * Reports the uses that are due at `now`, with one event a session or session-less client; `atLeast` so many of each,
   * if there are. Sessions that idled are forgotten.
   */
  flush(now: EpochMs, atLeast?: number): SessionEvent[] {
    const uses = this.#unreported.flush(now, atLeast).map(session => pendingEvent(session))
    if (this.#idleTimeoutMs > 0) this.#sessions.forgetIdle(now - this.#idleTimeoutMs)
    return [...uses, ...this.#visits.flush(now, atLeast), ...this.#strayOutcomes.take()]
  }

  /** Reports the uses of tools that are due at `now`; `atLeast` so many, if there are. */
  flushTools(now: EpochMs, atLeast?: number): ToolEvent[] {
    return this.#toolUses.flush(now, atLeast)
  }

  /** Whether a streamable session was in use here within the idle timeout before `at`, whatever the store knows of that. */
  isInUse(session: SessionIds, at: EpochMs): boolean {
    const lastSeenAt = this.#sessions.get(sessionKey(session))?.lastSeenAt
    return lastSeenAt !== undefined && lastSeenAt + this.#idleTimeoutMs > at
  }

  /** The sessions of a principal that are open, as far as this process knows. */
  ownedBy({ name }: Principal): readonly Readonly<TrackedSession>[] {
    return this.#sessions.ownedBy(name)
  }

  /** When a session was last used, as far as this process knows. */
  lastSeenAt(session: SessionIds): EpochMs | undefined {
    return this.#sessions.get(sessionKey(session))?.lastSeenAt
  }

  /** The proxy itself ended a session: it is forgotten; its unreported uses come out. One whose stream runs here ends with that. */
  ended(session: SessionIds): SessionEvent[] {
    const key = sessionKey(session)
    const known = this.#sessions.get(key)
    if (known === undefined || known.isHeld) return []
    this.#onChange(known.endpointId, -1, known.upstream)
    this.suspects.clear(key)
    return this.#forget(key, known)
  }

  /**
   * The gateway of a session, if it is known here. A message of a legacy session need not name its endpoint, nor the right
   * one.
   */
  upstreamOf(
    transport: Transport,
    endpointId: WireId | StoredId | undefined,
    sessionId: WireId | StoredId
  ): string | undefined {
    const stored = storedSessionId(sessionId)
    if (stored === undefined) return undefined
    return transport === Transport.sse
      ? this.#sessions.findLegacy(endpointId, stored)?.upstream
      : this.#sessions.find(endpointId, stored)?.upstream
  }

  /** Reports once more the sessions whose legacy stream runs through this process: they are still open at `at`. */
  held(at: EpochMs): UseEvent[] {
    return Array.from(this.#sessions.held, session =>
      useEvent({ ...session, lastSeenAt: at, provedAt: at, pendingRequests: 0, pendingOutcome: undefined })
    )
  }

  /**
   * The session in whose place the upstream opened another one, by an answer to one of its requests. An `initialize` with
   * the id of an earlier session begins a session of its own, and says nothing of that one.
   */
  #replacedBy({ sessionId, rpcMethod }: StreamableResponse): StoredId | undefined {
    return sessionId === undefined || rpcMethod === 'initialize' ? undefined : storedSessionId(sessionId)
  }

  /**
   * Takes what the store knows of the sessions that were looked up because their messages were not placed: those messages
   * are uses of a session that some proxy saw open, or they are nothing.
   */
  place(lookedUp: readonly StoredId[], known: readonly KnownSession[], now: EpochMs): SessionEvent[] {
    return lookedUp.flatMap(sessionId => {
      const sessions = known.filter(session => session.sessionId === sessionId)
      if (sessions.length === 0) this.unplaced.notFound(sessionId, now)
      const unplaced = sessions.length > 0 ? this.unplaced.take(sessionId) : undefined
      return unplaced ? this.#place(unplaced, sessions) : []
    })
  }

  #place({ namedEndpointId, steps, who }: UnplacedSession, known: readonly KnownSession[]): SessionEvent[] {
    const session =
      known.find(({ endpointId }) => endpointId === namedEndpointId) ??
      known.find(({ isOpen }) => isOpen) ??
      known[0]!
    const { endpointId, sessionId, isOpen } = session
    const upstream = session.upstream ?? undefined
    const events = steps.flatMap(({ at, requests, outcome }): SessionEvent[] => {
      const sighting = { endpointId, sessionId, transport: Transport.sse, upstream, client: NO_CLIENT, at }
      const used = { ...newSession(sighting), pendingRequests: requests, pendingOutcome: outcome }
      if (requests === 0) return [...this.#act('gone', sighting), ...(outcome ? [pendingEvent(used)] : [])]
      const key = sessionKey(sighting)
      const stays = this.#sessions.get(key) !== undefined || !isOpen
      const forgotten = stays ? [] : this.#remember(key, newSession(sighting))
      return [...forgotten, useEvent(used)]
    })
    const last = events.findLast(event => event.type === 'use' && event.sessionId === sessionId)
    if (last?.type === 'use' && who) last.who = who
    return events
  }

  #message(message: MessageResponse): SessionEvent[] {
    const input = messageSignal(message)
    if (input === 'none') return []
    const sessionId = storedSessionId(message.sessionId)
    if (sessionId === undefined) {
      this.unstorableIds++
      return []
    }
    const { upstream, client, principal, conversation, at } = message
    const endpointId = this.#sessions.findLegacy(message.endpointId, sessionId)?.endpointId
    if (endpointId !== undefined)
      return this.#act(input, {
        ...{ endpointId, sessionId, transport: Transport.sse, upstream },
        ...{ client, principal, conversation, at }
      })
    const named = message.endpointId === undefined ? undefined : storedEndpointId(message.endpointId)
    this.unplaced.add(sessionId, named, { at, requests: input === 'use' ? 1 : 0 })
    return []
  }

  #visit(response: StreamableResponse): VisitEvent[] {
    const endpointId = storedEndpointId(response.endpointId)
    if (endpointId !== undefined && response.visitor !== undefined)
      return this.#visits.request(endpointId, response.visitor, response)
    this.unstorableIds++
    return []
  }

  /** What came of a request; it proves nothing of its session. */
  #account(told: RequestOutcome): SessionEvent[] {
    const { transport, visitor, sessionId: rawSessionId, outcome, client, at } = told
    const endpointId = told.endpointId === undefined ? undefined : storedEndpointId(told.endpointId)
    if (visitor !== undefined && endpointId !== undefined) {
      const place = this.#visits.account(endpointId, visitor, client, outcome)
      this.#noteCalls(place, told)
    }
    const sessionId = rawSessionId === undefined ? undefined : storedSessionId(rawSessionId)
    if (sessionId === undefined) return []
    const isLegacy = transport === Transport.sse
    const found = isLegacy
      ? this.#sessions.findLegacy(endpointId, sessionId)
      : this.#sessions.find(endpointId, sessionId)
    const session = found?.transport === transport ? found : undefined
    this.#noteCalls(session?.endpointId, told)
    if (session !== undefined) {
      session.pendingOutcome = addOutcome(session.pendingOutcome, outcome)
      this.#unreported.add(session)
      return []
    }
    if (isLegacy && this.unplaced.account(sessionId, outcome)) return []
    if (endpointId === undefined) return []
    return this.#strayOutcomes.add({ type: 'outcome', endpointId, sessionId, transport, at, outcome })
  }

  /** Strangers may name any endpoint: calls count at that of a session or client that is known. */
  #noteCalls(endpointId: StoredId | undefined, { calls = [], at }: RequestOutcome): void {
    if (endpointId !== undefined) for (const call of calls) this.#toolUses.add(endpointId, call, at)
  }

  #identify(identity: Identity): SessionEvent[] {
    if (isUnknownClient(identity.clientInfo)) return []
    const sessionId = storedSessionId(identity.sessionId)
    if (sessionId === undefined) return []
    const session =
      this.#sessions.find(identity.endpointId, sessionId) ?? this.#sessions.findLegacy(undefined, sessionId)
    if (!session) {
      this.unplaced.identify(sessionId, identity.clientInfo)
      return []
    }
    const known = mergeClientInfo(session.clientInfo, identity.clientInfo)
    // Each message of MCP 2026-07-28 names its client.
    if (isSameClientInfo(known, session.clientInfo)) return []
    session.clientInfo = known
    this.#unreported.delete(session)
    return [useEvent(session, identity.clientInfo)]
  }

  #apply(
    input: Input,
    rawEndpointId: WireId | StoredId | undefined,
    rawSessionId: WireId | StoredId | undefined,
    transport: Transport,
    {
      upstream,
      client,
      principal,
      conversation,
      at,
      replaces
    }: Pick<Sighting, 'upstream' | 'client' | 'at'> &
      Attribution & {
        replaces?: StoredId | undefined
      }
  ): SessionEvent[] {
    if (input === 'none' || rawEndpointId === undefined || rawSessionId === undefined) return []
    const endpointId = storedEndpointId(rawEndpointId)
    const sessionId = storedSessionId(rawSessionId)
    if (endpointId === undefined || sessionId === undefined) {
      this.unstorableIds++
      return []
    }
    const says = { upstream, client, principal, conversation, at }
    return this.#act(input, { endpointId, sessionId, transport, ...says }, replaces)
  }

  #act(input: Input, sighting: Sighting, replaces?: StoredId): SessionEvent[] {
    const key = sessionKey(sighting)
    const session = this.#sessions.get(key)
    const state = stateOf(session)
    const action = actions[input][state]
    // The upstream looks for a session only among those of the transport on which it is asked.
    if (action === 'close' && session && session.transport !== sighting.transport) return []
    if (action === 'open' || action === 'hold') this.#newcomers.learn(sighting.endpointId)
    // A session seen first by its use counts already: whoever saw it open counted it.
    if (state === 'unknown' && (input === 'open' || action === 'hold')) {
      this.#onChange(sighting.endpointId, 1, sighting.upstream)
      if (sighting.principal !== undefined) this.#onOwned(sighting.principal)
    }
    if (session && action === 'close') this.#onChange(sighting.endpointId, -1, session.upstream)
    if (action !== 'ignore' && !isSilent(input)) this.suspects.clear(key)
    switch (action) {
      case 'open': {
        const opened = newSession(sighting)
        return [...this.#remember(key, opened), openEvent(sighting, false, replaces, opened.attributed)]
      }
      case 'resume': {
        const resumed = { ...newSession(sighting), provedAt: 0 }
        return [...this.#remember(key, resumed), useEvent(resumed)]
      }
      case 'hold': {
        const held = session ?? newSession(sighting)
        this.#sessions.hold(key, held)
        return [openEvent(sighting, true, undefined, held.attributed)]
      }
      case 'count':
        session!.pendingRequests++
        this.#touch(key, session!, sighting.at, proofs.has(input))
        return this.#attribute(session!, sighting)
      case 'touch':
        this.#touch(key, session!, sighting.at, proofs.has(input))
        return []
      case 'report':
        return [{ ...useEvent(newSession(sighting)), ofKnown: true }]
      case 'sustain':
        return [presenceEvent(sighting)]
      case 'suspect':
        this.suspects.add(sighting)
        return []
      case 'close':
        return [
          ...this.#forget(key, session),
          closeEvent(input === 'gone' ? afterProofs(sighting, session) : sighting, finalReasons[input]!)
        ]
      case 'ignore':
        return []
    }
  }

  /** Reports whose the session is at once, where the request says something new of that. */
  #attribute(session: TrackedSession, request: Attribution): SessionEvent[] {
    const wasOwned = session.attributed.principal !== undefined
    const news = learn(session, request)
    if (news === undefined) return []
    if (news.principal !== undefined && !wasOwned) {
      this.#sessions.own(session)
      this.#onOwned(news.principal)
    }
    this.#unreported.delete(session)
    return [{ ...useEvent(session), ...news }]
  }

  #touch(key: string, session: TrackedSession, at: EpochMs, isProof: boolean): void {
    this.#sessions.touch(key, session, at)
    if (isProof) session.provedAt = Math.max(session.provedAt, at)
    this.#unreported.add(session)
  }

  /** Remembers a session. If another one makes room for it, its unreported uses come out. */
  #remember(key: string, session: TrackedSession): SessionEvent[] {
    return this.#rest(this.#sessions.remember(key, session))
  }

  #forget(key: string, session: TrackedSession | undefined): SessionEvent[] {
    if (session) this.#sessions.forget(key, session)
    return this.#rest(session)
  }

  /** The unreported uses of a session that was forgotten. */
  #rest(forgotten: TrackedSession | undefined): SessionEvent[] {
    return forgotten && this.#unreported.delete(forgotten) ? [pendingEvent(forgotten)] : []
  }
}

/** What this process saw after its last proof of the session also has a later time, whatever the clock says. */
const afterProofs = (sighting: Sighting, session: TrackedSession | undefined): Sighting =>
  session && sighting.at <= session.provedAt ? { ...sighting, at: session.provedAt + 1 } : sighting
