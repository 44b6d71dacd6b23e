// Owns which sessions this process knows: those whose legacy stream it holds, and the others that it has seen, in bounded memory.
import { sessionKey, storedEndpointId, type StoredId, type WireId } from '../mcp/stored-ids.js'
import { Transport } from '../mcp/transports.js'
import type { EpochMs } from '../util/time.js'
import type { TrackedSession } from './session.js'

/**
 * A session that is used again sooner keeps its place in the order of last use: moving it at each use would make V8
 * rebuild the table of the map all the time. Chosen: far less than the shortest idle timeout that makes sense.
 */
const ORDER_MS = 1_000

/** Sessions by `sessionKey`. */
export class RememberedSessions {
  /** Sessions without a stream of their own, least recently used first, but for `ORDER_MS`. */
  readonly #open = new Map<string, TrackedSession>()
  readonly #held = new Map<string, TrackedSession>()
  /** Endpoint of each legacy session by the session's id: what a message says of it need not be true. */
  readonly #legacyEndpoints = new Map<StoredId, StoredId>()
  /** By the name of the principal, as this process sees it. */
  readonly #owned = new Map<string, Set<TrackedSession>>()
  readonly #maxOpen: number

  /** `maxOpen`: how many sessions without a stream are remembered. */
  constructor(maxOpen: number) {
    this.#maxOpen = maxOpen
  }

  /** The sessions whose legacy stream runs through this process. */
  get held(): Iterable<TrackedSession> {
    return this.#held.values()
  }

  /** The sessions that are used on behalf of a principal, by its name as this process sees it. */
  ownedBy(principalName: string): readonly TrackedSession[] {
    return [...(this.#owned.get(principalName) ?? [])]
  }

  /** The session with this key. */
  get(key: string): TrackedSession | undefined {
    return this.#open.get(key) ?? this.#held.get(key)
  }

  /** The session with this id on the endpoint, if it is known. */
  find(rawEndpointId: WireId | StoredId | undefined, sessionId: StoredId): TrackedSession | undefined {
    const endpointId = rawEndpointId === undefined ? undefined : storedEndpointId(rawEndpointId)
    return endpointId === undefined ? undefined : this.get(sessionKey({ endpointId, sessionId }))
  }

  /** The session of a message; the endpoint that the message names only tells sessions with the same id apart. */
  findLegacy(
    namedEndpointId: WireId | StoredId | undefined,
    sessionId: StoredId
  ): TrackedSession | undefined {
    const named = this.find(namedEndpointId, sessionId)
    return named?.transport === Transport.sse
      ? named
      : this.find(this.#legacyEndpoints.get(sessionId), sessionId)
  }

  /** Remembers a session, for as long as its legacy stream lasts. */
  hold(key: string, session: TrackedSession): void {
    this.#open.delete(key)
    session.isHeld = true
    this.#held.set(key, session)
    this.#legacyEndpoints.set(session.sessionId, session.endpointId)
    this.own(session)
  }

  /** Remembers a session without a stream; the one that is forgotten in its place, if there are too many. */
  remember(key: string, session: TrackedSession): TrackedSession | undefined {
    this.#open.set(key, session)
    if (session.transport === Transport.sse) this.#legacyEndpoints.set(session.sessionId, session.endpointId)
    this.own(session)
    if (this.#open.size <= this.#maxOpen) return undefined
    const [oldestKey, oldest] = this.#open.entries().next().value!
    this.forget(oldestKey, oldest)
    return oldest
  }

  /** The session is in use at `at`. */
  touch(key: string, session: TrackedSession, at: EpochMs): void {
    session.lastSeenAt = Math.max(session.lastSeenAt, at)
    if (at - session.orderedAt < ORDER_MS) return
    session.orderedAt = at
    if (this.#open.delete(key)) this.#open.set(key, session)
  }

  /** Whose the session is may just have been learned. */
  own(session: TrackedSession): void {
    const name = session.attributed.principal?.name
    if (name === undefined) return
    const owned = this.#owned.get(name)
    if (owned === undefined) this.#owned.set(name, new Set([session]))
    else owned.add(session)
  }

  forget(key: string, session: TrackedSession): void {
    const { endpointId, sessionId } = session
    this.#open.delete(key)
    this.#held.delete(key)
    this.#disown(session)
    if (this.#legacyEndpoints.get(sessionId) === endpointId) this.#legacyEndpoints.delete(sessionId)
  }

  #disown(session: TrackedSession): void {
    const name = session.attributed.principal?.name
    const owned = name === undefined ? undefined : this.#owned.get(name)
    if (owned?.delete(session) && owned.size === 0) this.#owned.delete(name!)
  }

  /** Forgets the sessions without a stream that were last used at `until` or before. */
  forgetIdle(until: EpochMs): void {
    for (const [key, session] of this.#open) {
      if (session.lastSeenAt > until) return
      this.forget(key, session)
    }
  }
}
