// Owns a cache whose values expire: each value is fetched once, however many callers want it.
import type { MonotonicMs } from './time.js'

interface Entry<T> {
  value: Promise<T>
  until: MonotonicMs
}

/** Values by their keys, each kept for `keptMs` (milliseconds) after it arrived; beyond `maxEntries` the oldest goes. */
export class ExpiringCache<T> {
  /** Oldest first. */
  readonly #entries = new Map<string, Entry<T>>()
  readonly #keptMs: number
  readonly #maxEntries: number

  constructor(keptMs: number, maxEntries: number) {
    this.#keptMs = keptMs
    this.#maxEntries = maxEntries
  }

  /** Whether `get` of this key drops no value that is still kept. */
  hasRoomFor(key: string): boolean {
    const now = performance.now()
    for (const [known, { until }] of this.#entries) if (until <= now) this.#entries.delete(known)
    return this.#entries.has(key) || this.#entries.size < this.#maxEntries
  }

  /** The value of a key, fetched if need be. A failure is kept too: what fails is not fetched more often than what works. */
  get(key: string, fetch: () => Promise<T>): Promise<T> {
    const known = this.#entries.get(key)
    if (known && known.until > performance.now()) return known.value
    this.#entries.delete(key)
    // The time counts from its arrival.
    const entry: Entry<T> = { value: fetch(), until: Infinity }
    const arrived = (): void => void (entry.until = performance.now() + this.#keptMs)
    entry.value.then(arrived, arrived)
    this.#entries.set(key, entry)
    if (this.#entries.size > this.#maxEntries) this.#entries.delete(this.#entries.keys().next().value!)
    return entry.value
  }
}
