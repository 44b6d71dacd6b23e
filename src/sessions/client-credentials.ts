// Owns what is remembered of how clients reach their sessions, for the proxy's own requests to them. It holds secrets: they
// stay in memory, and are never logged.
import { storedId } from '../mcp/stored-ids.js'

/** What the client's last accepted request to a session said. */
export interface SessionCredentials {
  /** Path and query. */
  target: string
  host: string | undefined
  sessionId: string
  protocolVersion: string | undefined
  authorization: string | undefined
}

const MAX_CHARACTERS = 32 * 1024 * 1024
/** What an entry takes besides its texts, about. */
const ENTRY_CHARACTERS = 200

/**
 * Bounded: of two halves the older is forgotten when the other is full, or when time passed (`age`). A session in use
 * changes neither map, which would have V8 make their tables anew all the time.
 */
export class ClientCredentials {
  readonly #maxCharacters: number
  #recent = new Map<string, SessionCredentials>()
  #older = new Map<string, SessionCredentials>()
  /** Of the recent ones. */
  #characters = 0

  constructor(maxCharacters = MAX_CHARACTERS) {
    this.#maxCharacters = maxCharacters / 2
  }

  note(endpointId: string, caller: SessionCredentials): void {
    const key = keyOf(endpointId, caller.sessionId)
    if (key === undefined) return
    const known = this.#recent.get(key)
    if (known !== undefined && isSame(known, caller)) return
    this.#delete(key)
    const characters = charactersOf(key, caller)
    if (characters > this.#maxCharacters) return
    if (this.#characters + characters > this.#maxCharacters) this.age()
    this.#recent.set(key, caller)
    this.#characters += characters
  }

  /** A session is in use, though not by a request. */
  keep(endpointId: string, sessionId: string): void {
    const caller = this.#older.get(keyOf(endpointId, sessionId) ?? '')
    if (caller) this.note(endpointId, caller)
  }

  /** Those not used since the last call are forgotten at the next one. */
  age(): void {
    this.#older = this.#recent
    this.#recent = new Map()
    this.#characters = 0
  }

  /** Of a session by its ids, as they came or as they are stored. */
  of(endpointId: string, sessionId: string): SessionCredentials | undefined {
    const key = keyOf(endpointId, sessionId) ?? ''
    return this.#recent.get(key) ?? this.#older.get(key)
  }

  forget(endpointId: string, sessionId: string): void {
    this.#delete(keyOf(endpointId, sessionId) ?? '')
  }

  #delete(key: string): void {
    this.#older.delete(key)
    const caller = this.#recent.get(key)
    if (caller === undefined) return
    this.#recent.delete(key)
    this.#characters -= charactersOf(key, caller)
  }
}

function keyOf(endpointId: string, sessionId: string): string | undefined {
  const [endpoint, session] = [storedId(endpointId), storedId(sessionId)]
  return endpoint === undefined || session === undefined ? undefined : `${endpoint} ${session}`
}

const isSame = (known: SessionCredentials, caller: SessionCredentials): boolean =>
  known.target === caller.target &&
  known.host === caller.host &&
  known.sessionId === caller.sessionId &&
  known.protocolVersion === caller.protocolVersion &&
  known.authorization === caller.authorization

function charactersOf(key: string, { target, host, sessionId, authorization }: SessionCredentials): number {
  const texts = key.length + target.length + sessionId.length
  return ENTRY_CHARACTERS + texts + (host?.length ?? 0) + (authorization?.length ?? 0)
}
