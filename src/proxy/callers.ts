// Owns what is remembered of how clients reach their sessions, for the proxy's own requests to them. It holds secrets: they
// stay in memory, and are never logged.
import { storedId } from '../sessions/ids.js'

/** What the client's last accepted request to a session said. */
export interface Caller {
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

/** Bounded: the sessions not used for the longest time are forgotten. */
export class Callers {
  readonly #callers = new Map<string, Caller>()
  readonly #maxCharacters: number
  #characters = 0

  constructor(maxCharacters = MAX_CHARACTERS) {
    this.#maxCharacters = maxCharacters
  }

  note(endpointId: string, caller: Caller): void {
    const key = keyOf(endpointId, caller.sessionId)
    if (key === undefined) return
    const known = this.#callers.get(key)
    this.#delete(key)
    this.#callers.set(key, known !== undefined && isSame(known, caller) ? known : caller)
    this.#characters += charactersOf(key, caller)
    while (this.#characters > this.#maxCharacters) this.#delete(this.#callers.keys().next().value!)
  }

  /** Of a session by its ids, as they came or as they are stored. */
  of(endpointId: string, sessionId: string): Caller | undefined {
    return this.#callers.get(keyOf(endpointId, sessionId) ?? '')
  }

  forget(endpointId: string, sessionId: string): void {
    this.#delete(keyOf(endpointId, sessionId) ?? '')
  }

  #delete(key: string): void {
    const caller = this.#callers.get(key)
    if (caller === undefined) return
    this.#callers.delete(key)
    this.#characters -= charactersOf(key, caller)
  }
}

function keyOf(endpointId: string, sessionId: string): string | undefined {
  const [endpoint, session] = [storedId(endpointId), storedId(sessionId)]
  return endpoint === undefined || session === undefined ? undefined : `${endpoint} ${session}`
}

/** A session's requests say the same; to keep each anew would make work for the garbage collector. */
const isSame = (known: Caller, caller: Caller): boolean =>
  known.target === caller.target &&
  known.host === caller.host &&
  known.sessionId === caller.sessionId &&
  known.protocolVersion === caller.protocolVersion &&
  known.authorization === caller.authorization

function charactersOf(key: string, { target, host, sessionId, authorization }: Caller): number {
  const texts = key.length + target.length + sessionId.length
  return ENTRY_CHARACTERS + texts + (host?.length ?? 0) + (authorization?.length ?? 0)
}
