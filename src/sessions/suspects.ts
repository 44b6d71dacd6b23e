// Owns the queue of suspects: sessions that may be gone, until they are pinged or a sign of life clears them.
import { sessionKey, type SessionIds } from '../mcp/stored-ids.js'

/** A session that may be gone. */
export interface Suspect extends SessionIds {
  /** The name of its gateway, where the ledger told it. */
  upstream?: string | null | undefined
}

/**
 * Each suspect comes out of the queue once, after a full tick (a turn of whoever pings them) in which nothing was heard
 * of its session. When the queue is full, further suspects are left out.
 */
export class Suspects {
  readonly #waiting = new Map<string, Suspect>()
  /** Keys of those that came in since the last tick, and of those that came in before it. */
  #sinceLastTick: string[] = []
  #beforeLastTick: string[] = []
  readonly #due: string[] = []
  readonly #maxWaiting: number

  constructor(maxWaiting: number) {
    this.#maxWaiting = maxWaiting
  }

  /** The session may be gone. */
  add({ endpointId, sessionId, upstream = null }: Readonly<Suspect>): void {
    const suspect = { endpointId, sessionId, upstream }
    const key = sessionKey(suspect)
    if (this.#waiting.has(key) || this.#waiting.size >= this.#maxWaiting) return
    this.#waiting.set(key, suspect)
    this.#sinceLastTick.push(key)
  }

  /** Something was heard of the session with this `sessionKey`. */
  clear(key: string): void {
    this.#waiting.delete(key)
  }

  /** To be called at regular intervals: those that waited for a whole interval are due. */
  tick(): void {
    for (const key of this.#beforeLastTick) this.#due.push(key)
    this.#beforeLastTick = this.#sinceLastTick
    this.#sinceLastTick = []
  }

  /** Takes out a session that is to be pinged now; undefined where none is due. */
  next(): Suspect | undefined {
    for (let key = this.#due.pop(); key !== undefined; key = this.#due.pop()) {
      const suspect = this.#waiting.get(key)
      if (!suspect) continue
      this.#waiting.delete(key)
      return suspect
    }
    return undefined
  }
}
