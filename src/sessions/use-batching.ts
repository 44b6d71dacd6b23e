// Owns when the ledger is told of who is in use: each in its turn, for telling all every second would cost more than
// forwarding.

/** By so much at most, and by a tenth of the idle timeout, what the ledger knows of a last use is older than it was. */
const MAX_UNTOLD_MS = 30_000
/** So many are told of at any flush. */
const TOLD_AT_ONCE = 200
/** A little more often than need be. */
const TURNS = 1.25

/** Sessions or visits with something to tell; `toldAt`: the last use that the ledger was told of, in epoch ms. */
export class UseBatching<T extends { readonly toldAt: number }> {
  readonly #waiting = new Set<T>()
  readonly #tellAfterMs: number
  #takenAt = 0

  /** `idleTimeoutMs` 0: none. */
  constructor(idleTimeoutMs: number) {
    this.#tellAfterMs = Math.min(MAX_UNTOLD_MS, (idleTimeoutMs || Infinity) / 10)
  }

  add(item: T): void {
    this.#waiting.add(item)
  }

  has(item: T): boolean {
    return this.#waiting.has(item)
  }

  /** Whether there was something to tell of it. */
  delete(item: T): boolean {
    return this.#waiting.delete(item)
  }

  /**
   * Takes out those that are due at `now` (epoch ms): who was silent for long, and a share of the others, `atLeast` so
   * many, with which each has its turn in time.
   */
  take(now: number, atLeast = TOLD_AT_ONCE): T[] {
    const share = (TURNS * this.#waiting.size * (now - this.#takenAt)) / this.#tellAfterMs
    const atOnce = Math.max(atLeast, share)
    this.#takenAt = now
    const due: T[] = []
    for (const item of this.#waiting) {
      if (due.length >= atOnce && now - item.toldAt < this.#tellAfterMs) continue
      this.#waiting.delete(item)
      due.push(item)
    }
    return due
  }
}
