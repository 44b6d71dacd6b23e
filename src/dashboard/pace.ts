// Owns the throttling of the dashboard's requests: soon after something happened, never two of a kind at a time, and less
// often if the response takes long.

/** The admin port spends at most this part of its time on one kind of request. Chosen. */
const BUSY_SHARE = 0.05
/** How soon what failed is tried again, though nothing happened. Chosen. */
const RETRY_MS = 5_000

/** Runs `act` after each `soon` or `now`, at most once in `minMs`, and always once more after the last of them, or after a failure. */
export class Pace {
  readonly #act: () => Promise<unknown>
  readonly #minMs: number
  #timer: ReturnType<typeof setTimeout> | undefined
  #running = false
  #again = false
  #urgent = false
  #notBefore = 0

  constructor(minMs: number, act: () => Promise<unknown>) {
    this.#minMs = minMs
    this.#act = act
  }

  /** Something happened. */
  soon(): void {
    this.#again = true
    if (this.#running || this.#timer !== undefined) return
    this.#timer = setTimeout(() => void this.#run(), Math.max(0, this.#notBefore - performance.now()))
  }

  /** Something else is asked for now, without waiting. */
  now(): void {
    this.#notBefore = 0
    this.#urgent = this.#running
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.soon()
  }

  async #run(): Promise<void> {
    this.#timer = undefined
    this.#again = false
    this.#running = true
    const startedAt = performance.now()
    // `act` shows its failures itself.
    const works = await this.#act().then(
      () => true,
      () => false
    )
    this.#rest(works, performance.now() - startedAt)
  }

  #rest(works: boolean, tookMs: number): void {
    this.#running = false
    const minMs = works ? Math.max(this.#minMs, tookMs / BUSY_SHARE) : Math.max(this.#minMs, RETRY_MS)
    this.#notBefore = this.#urgent ? 0 : performance.now() + minMs
    this.#urgent = false
    if (!works) this.#again = true
    if (this.#again) this.soon()
  }
}
