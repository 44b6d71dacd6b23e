// Owns the queue of suspects: sessions that may be gone, until somebody asks or their client answers the question.

export interface Suspect {
  endpointId: string
  sessionId: string
}

/** Each suspicion comes out once, after a full tick in which nothing was heard of the session. Bounded. */
export class Suspects {
  readonly #waiting = new Map<string, Suspect>()
  /** Keys by how many ticks they have waited. */
  #young: string[] = []
  #older: string[] = []
  readonly #ripe: string[] = []
  readonly #maxWaiting: number

  constructor(maxWaiting: number) {
    this.#maxWaiting = maxWaiting
  }

  add(key: string, suspect: Suspect): void {
    if (this.#waiting.has(key) || this.#waiting.size >= this.#maxWaiting) return
    this.#waiting.set(key, suspect)
    this.#young.push(key)
  }

  /** Something was heard of the session. */
  clear(key: string): void {
    this.#waiting.delete(key)
  }

  tick(): void {
    for (const key of this.#older) this.#ripe.push(key)
    this.#older = this.#young
    this.#young = []
  }

  /** A session to be asked now. */
  next(): Suspect | undefined {
    for (let key = this.#ripe.pop(); key !== undefined; key = this.#ripe.pop()) {
      const suspect = this.#waiting.get(key)
      if (!suspect) continue
      this.#waiting.delete(key)
      return suspect
    }
    return undefined
  }
}
