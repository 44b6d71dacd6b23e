// Owns the credentials with which clients reach their sessions, for the proxy's own requests to them. They are secrets:
// they stay in memory, and are never logged.
import {
  sessionKey,
  storedEndpointId,
  type StoredId,
  storedSessionId,
  type WireId
} from '../mcp/stored-ids.js'

/** What a request of a client looked like: whoever repeats it speaks as that client. */
export interface RequestCredentials {
  /** Path and query. */
  target: string
  host: string | undefined
  protocolVersion: string | undefined
  authorization: string | undefined
  /** Other fields that say who sent it, such as an API key; undefined where there is none. */
  identity?: Readonly<Record<string, string>> | undefined
}

/** The same of the last accepted request of a client to its session. */
export interface SessionCredentials extends RequestCredentials {
  sessionId: WireId | StoredId
}

/** Chosen: room for some 50,000 sessions with a token of 300 characters each; V8 takes one byte a character. */
const MAX_CHARACTERS = 32 * 1024 * 1024
/** What an entry takes besides its texts (the object, its place in the map, the heads of the strings): an estimate. */
const ENTRY_CHARACTERS = 200

/**
 * Remembers the credentials of each session, in bounded memory: of two halves the older one is forgotten when the other
 * one is full, or when time has passed (`age`). A session in use changes neither map; a map that changes with each
 * request would make V8 rebuild its table all the time.
 *
 * Sessions are found by their ids as they came on the wire or as they are stored: a stored id is its own stored form.
 */
export class ClientCredentials {
  readonly #maxCharacters: number
  #recent = new Map<string, SessionCredentials>()
  #older = new Map<string, SessionCredentials>()
  /** Of the recent ones. */
  #characters = 0

  /** `maxCharacters`: of all texts together, with an allowance for each entry. */
  constructor(maxCharacters = MAX_CHARACTERS) {
    this.#maxCharacters = maxCharacters / 2
  }

  /** Remembers the credentials of an accepted request. Those of a session whose ids cannot be stored are not kept. */
  note(endpointId: WireId, credentials: SessionCredentials): void {
    const key = keyOf(endpointId, credentials.sessionId)
    if (key !== undefined) this.#note(key, credentials)
  }

  /** The session is in use, though no request of its client says so: its credentials do not age. */
  keep(endpointId: WireId, sessionId: WireId): void {
    const key = keyOf(endpointId, sessionId)
    if (key === undefined) return
    const known = this.#older.get(key)
    if (known) this.#note(key, known)
  }

  /** Credentials that are not used between two calls are forgotten. */
  age(): void {
    this.#older = this.#recent
    this.#recent = new Map()
    this.#characters = 0
  }

  /** The credentials of a session; undefined where they are not known (any more). */
  of(endpointId: WireId | StoredId, sessionId: WireId | StoredId): SessionCredentials | undefined {
    const key = keyOf(endpointId, sessionId)
    return key === undefined ? undefined : (this.#recent.get(key) ?? this.#older.get(key))
  }

  /** The session ended: nobody may speak for its client any more. */
  forget(endpointId: WireId, sessionId: WireId): void {
    const key = keyOf(endpointId, sessionId)
    if (key !== undefined) this.#delete(key)
  }

  #note(key: string, credentials: SessionCredentials): void {
    const known = this.#recent.get(key)
    if (known !== undefined && isSame(known, credentials)) return
    this.#delete(key)
    const characters = charactersOf(key, credentials)
    if (characters > this.#maxCharacters) return
    if (this.#characters + characters > this.#maxCharacters) this.age()
    this.#recent.set(key, credentials)
    this.#characters += characters
  }

  #delete(key: string): void {
    this.#older.delete(key)
    const known = this.#recent.get(key)
    if (known === undefined) return
    this.#recent.delete(key)
    this.#characters -= charactersOf(key, known)
  }
}

function keyOf(rawEndpointId: WireId | StoredId, rawSessionId: WireId | StoredId): string | undefined {
  const [endpointId, sessionId] = [storedEndpointId(rawEndpointId), storedSessionId(rawSessionId)]
  return endpointId === undefined || sessionId === undefined
    ? undefined
    : sessionKey({ endpointId, sessionId })
}

const isSame = (a: SessionCredentials, b: SessionCredentials): boolean =>
  a.target === b.target &&
  a.host === b.host &&
  a.sessionId === b.sessionId &&
  a.protocolVersion === b.protocolVersion &&
  a.authorization === b.authorization &&
  (a.identity === b.identity || isSameIdentity(a.identity, b.identity))

function isSameIdentity(
  a: RequestCredentials['identity'] = {},
  b: RequestCredentials['identity'] = {}
): boolean {
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every(name => a[name] === b[name])
}

function charactersOf(
  key: string,
  { target, host, sessionId, authorization, identity = {} }: SessionCredentials
): number {
  const texts = [key, target, sessionId, host ?? '', authorization ?? '', ...Object.values(identity)]
  return texts.reduce((sum, text) => sum + text.length, ENTRY_CHARACTERS)
}
