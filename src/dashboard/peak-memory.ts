// Owns the most sessions that this page saw open at once, minute by minute: what was seen once is never less later.

const MINUTE_MS = 60_000
/** How many minutes are remembered. Chosen: the longest range of the buttons, 30 days. */
const MAX_MINUTES = 30 * 24 * 60

/** What the live connection told, of one endpoint or of all. */
export class PeakMemory {
  readonly #minutes = new Map<number, number>()

  /** So many were open at `at`, in epoch ms. */
  note(at: number, open: number): void {
    const minute = Math.floor(at / MINUTE_MS)
    this.#minutes.set(minute, Math.max(open, this.#minutes.get(minute) ?? 0))
    if (this.#minutes.size > MAX_MINUTES) this.#minutes.delete(this.#minutes.keys().next().value!)
  }

  /** The most within the minutes of a range, in epoch ms; 0 where nothing was seen. */
  highest(start: number, end: number): number {
    let most = 0
    for (const [minute, open] of this.#minutes)
      if ((minute + 1) * MINUTE_MS > start && minute * MINUTE_MS <= end) most = Math.max(most, open)
    return most
  }

  /** Another endpoint is watched. */
  clear(): void {
    this.#minutes.clear()
  }
}
