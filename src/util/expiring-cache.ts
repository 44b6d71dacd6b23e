// Owns answers that may be some moments old: asked for once, however many want them.

interface Entry<T> {
  value: Promise<T>
  until: number
}

export class ExpiringCache<T> {
  /** Oldest first. */
  readonly #entries = new Map<string, Entry<T>>()
  readonly #keptMs: number
  readonly #maxEntries: number

  constructor(keptMs: number, maxEntries: number) {
    this.#keptMs = keptMs
    this.#maxEntries = maxEntries
  }

  /** A failure is kept too: what fails is not asked faster than what answers. */
  get(key: string, ask: () => Promise<T>): Promise<T> {
    const known = this.#entries.get(key)
    if (known && known.until > performance.now()) return known.value
    this.#entries.delete(key)
    // The time counts from the answer.
    const entry: Entry<T> = { value: ask(), until: Infinity }
    const answered = (): void => void (entry.until = performance.now() + this.#keptMs)
    entry.value.then(answered, answered)
    this.#entries.set(key, entry)
    if (this.#entries.size > this.#maxEntries) this.#entries.delete(this.#entries.keys().next().value!)
    return entry.value
  }
}
