// Owns messages of legacy sessions whose stream this process does not hold: they wait until the store says on which endpoint
// their session is. A message proves no session by itself, so what the store does not know is dropped.
import { type ClientInfo, mergeClientInfo } from '../mcp/client-info.js'
import type { SessionIds, StoredId } from '../mcp/stored-ids.js'
import { type EpochMs, SECOND_MS } from '../util/time.js'
import { addOutcome, type Outcome } from './outcomes.js'

/**
 * How long to wait after the first look-up that found nothing, twice as long after the next, and so on. The proxy that
 * holds the stream tells the store within moments, or later where it was cut off from it. Chosen.
 */
const RETRY_MS = SECOND_MS
/** Look-ups after the first: the last one comes about two minutes after it. Chosen. */
const MAX_RETRIES = 7
const MAX_RETRY_MS = RETRY_MS * 2 ** (MAX_RETRIES - 1)
/** Sessions to look up at a time. Chosen: some milliseconds of the store's time. */
export const LOOK_UP_BATCH = 256
/** Sessions that wait. Chosen: some megabytes. */
const MAX_WAITING = 10_000
/** Changes between use and end that are kept of a session. Chosen: far more than there are. */
const MAX_STEPS = 16

/** What was seen of a session, in order: accepted messages, the last one at `at`; or that the upstream did not know it. */
export interface UnplacedStep {
  at: EpochMs
  /** 0: it was not known. */
  requests: number
  /** What came of them. */
  outcome?: Outcome
}

/** A session without an endpoint. */
export interface UnplacedSession {
  readonly sessionId: StoredId
  /** What its messages say of its endpoint, which need not be true. */
  readonly namedEndpointId: StoredId | undefined
  readonly steps: UnplacedStep[]
  /** Its client's name and version, where they were seen. */
  who: ClientInfo | undefined
  /** Look-ups that did not find it. */
  tries: number
  dueAt: EpochMs
}

/** A legacy session as the store knows it. */
export interface KnownSession extends SessionIds {
  isOpen: boolean
  /** The name of its gateway; null where it is not known. */
  upstream: string | null
}

/** A session that waits as it is said here; undefined: no longer. */
export interface UnplacedChange {
  sessionId: StoredId
  waiting: UnplacedSession | undefined
}

/** In bounded memory: when it is full, the session that waits longest makes room. */
export class UnplacedMessages {
  readonly #waiting: Map<StoredId, UnplacedSession>
  readonly #changed = new Set<StoredId>()
  /** Messages that were dropped because no proxy of the store saw the stream of their session. */
  dropped = 0

  /** `waiting`: what waited when the process before this one ended. */
  constructor(waiting: readonly UnplacedSession[] = []) {
    this.#waiting = new Map(waiting.map(session => [session.sessionId, session]))
  }

  /** How many sessions wait. */
  get size(): number {
    return this.#waiting.size
  }

  /** A message was accepted (`requests` 1), or its session is not known to the upstream (0). */
  add(sessionId: StoredId, namedEndpointId: StoredId | undefined, { at, requests }: UnplacedStep): void {
    const waiting = this.#waiting.get(sessionId)
    this.#changed.add(sessionId)
    if (waiting === undefined) {
      const [oldest] = this.#waiting.size >= MAX_WAITING ? this.#waiting.keys() : []
      if (oldest !== undefined) this.#drop(oldest)
      const steps = [{ at, requests }]
      const session = { sessionId, namedEndpointId, steps, who: undefined, tries: 0, dueAt: at }
      return void this.#waiting.set(sessionId, session)
    }
    const last = waiting.steps.at(-1)!
    const isLike = last.requests > 0 === requests > 0
    if (isLike || waiting.steps.length >= MAX_STEPS) {
      last.requests += requests
      last.at = requests > 0 ? Math.max(last.at, at) : Math.min(last.at, at)
    } else waiting.steps.push({ at, requests })
  }

  /** What came of a message of a session that waits; whether it waits. */
  account(sessionId: StoredId, outcome: Outcome): boolean {
    const last = this.#waiting.get(sessionId)?.steps.at(-1)
    if (last === undefined) return false
    last.outcome = addOutcome(last.outcome, outcome)
    this.#changed.add(sessionId)
    return true
  }

  /** The client of a session that waits was named. */
  identify(sessionId: StoredId, who: ClientInfo): void {
    const waiting = this.#waiting.get(sessionId)
    if (waiting === undefined) return
    waiting.who = waiting.who ? mergeClientInfo(waiting.who, who) : who
    this.#changed.add(sessionId)
  }

  /** The sessions to look up at `now`, at most `limit`; those that were not looked up yet come first. */
  due(now: EpochMs, limit = LOOK_UP_BATCH): StoredId[] {
    // If the clock was put back, it is not waited for.
    const isDue = ({ dueAt }: UnplacedSession): boolean => dueAt <= now || dueAt > now + MAX_RETRY_MS
    return [...this.#waiting.values()]
      .filter(isDue)
      .sort((a, b) => a.tries - b.tries)
      .slice(0, limit)
      .map(({ sessionId }) => sessionId)
  }

  /** Takes out a session whose endpoint is known now. */
  take(sessionId: StoredId): UnplacedSession | undefined {
    const waiting = this.#waiting.get(sessionId)
    this.#delete(sessionId)
    return waiting
  }

  /** What changed since the last call, for a copy on disk; look-ups without a result are no change. */
  takeChanges(): UnplacedChange[] {
    const changes = Array.from(this.#changed, sessionId => ({
      sessionId,
      waiting: this.#waiting.get(sessionId)
    }))
    this.#changed.clear()
    return changes
  }

  /** Changes that could not be copied: they come out again, the last ones of them if there are too many. */
  changedStill(changes: readonly UnplacedChange[]): void {
    for (const { sessionId } of changes) this.#changed.add(sessionId)
    for (const sessionId of this.#changed)
      if (this.#changed.size > 2 * MAX_WAITING) this.#changed.delete(sessionId)
  }

  /** The store does not know the session. After the last try it is forgotten. */
  notFound(sessionId: StoredId, now: EpochMs): void {
    const waiting = this.#waiting.get(sessionId)
    if (waiting === undefined) return
    if (waiting.tries === MAX_RETRIES) this.#drop(sessionId)
    else waiting.dueAt = now + RETRY_MS * 2 ** waiting.tries++
  }

  #drop(sessionId: StoredId): void {
    const steps = this.#waiting.get(sessionId)?.steps ?? []
    this.dropped += steps.reduce((sum, { requests }) => sum + requests, 0)
    this.#delete(sessionId)
  }

  #delete(sessionId: StoredId): void {
    this.#waiting.delete(sessionId)
    this.#changed.add(sessionId)
  }
}
