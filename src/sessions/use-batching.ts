// Owns the batching of uses: when the ledger hears of each session in use. To report all of them once a second would cost
// half a core: 500 ms of CPU a second with 10,000 sessions that send one request a second each; in batches it is 31 ms.
import type { EpochMs } from '../util/time.js'

/**
 * The longest time for which a use waits: the ledger's "last seen" is older than the truth by no more than this, and by
 * no more than a tenth of the idle timeout. Chosen: fresh enough for people who look at the list of sessions.
 */
const MAX_DELAY_MS = 30_000
const DELAYS_PER_IDLE_TIMEOUT = 10
/** A flush takes at least so many, where there are so many: a small proxy reports everything at every flush. Chosen. */
const MIN_BATCH = 200
/** Batches are larger by this factor than what a steady load needs, so that a flush that comes late is made up for. */
const BATCH_MARGIN = 1.25

/**
 * Sessions or visits with uses that were not yet reported, the one that waits longest first. `reportedAt`: the last use
 * of it that was reported to the ledger.
 */
export class UseBatching<T extends { readonly reportedAt: EpochMs }> {
  readonly #waiting = new Set<T>()
  readonly #maxDelayMs: number
  #flushedAt: EpochMs = 0

  /** `idleTimeoutMs` 0: sessions never idle. */
  constructor(idleTimeoutMs: number) {
    this.#maxDelayMs = Math.min(MAX_DELAY_MS, (idleTimeoutMs || Infinity) / DELAYS_PER_IDLE_TIMEOUT)
  }

  /** The item was used; it keeps its place if it waits already. */
  add(item: T): void {
    this.#waiting.add(item)
  }

  /** Whether the item has uses to report. */
  has(item: T): boolean {
    return this.#waiting.has(item)
  }

  /** Takes the item out; whether it had uses to report. */
  delete(item: T): boolean {
    return this.#waiting.delete(item)
  }

  /**
   * Takes out the batch that is due at `now`: the items whose last report is too long ago, and as many of the others as
   * it takes for each to have its turn within the longest delay; `atLeast` so many, if there are.
   */
  flush(now: EpochMs, atLeast = MIN_BATCH): T[] {
    const share = (BATCH_MARGIN * this.#waiting.size * (now - this.#flushedAt)) / this.#maxDelayMs
    const batchSize = Math.max(atLeast, share)
    this.#flushedAt = now
    const batch: T[] = []
    for (const item of this.#waiting) {
      if (batch.length >= batchSize && now - item.reportedAt < this.#maxDelayMs) continue
      this.#waiting.delete(item)
      batch.push(item)
    }
    return batch
  }
}
