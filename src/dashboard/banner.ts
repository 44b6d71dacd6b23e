// Owns the line at the top that says why the page does not show the present: cut off, a store that is away, or a pause.
import { html, setFlag, setText } from './dom.js'
import { clockText } from './format.js'
import type { StoreState } from './store-watch.js'
import { texts } from './texts.js'

/** The most important of what is known is shown. */
export class Banner {
  #lostAt: number | undefined
  #store: StoreState | undefined
  #refusal: string | undefined
  #pausedAt: number | undefined

  /** Whether the admin port cannot be reached. */
  get isLost(): boolean {
    return this.#lostAt !== undefined
  }

  /** Whether the reader has the page stand still. */
  get isPaused(): boolean {
    return this.#pausedAt !== undefined
  }

  /** Whether what the page shows is of the past. */
  get isStale(): boolean {
    return this.isLost || this.isPaused || this.#store?.canRead === false
  }

  /** The moment that the page shows, in epoch ms. */
  get now(): number {
    const lastKnown = this.isStale ? (this.#lostAt ?? this.#store?.readAt) : undefined
    return this.#pausedAt ?? lastKnown ?? Date.now()
  }

  /** The page stands still from `at` on; undefined: it goes on. */
  pause(at: number | undefined): void {
    this.#pausedAt = at
    this.#show()
  }

  /** The admin port could not be reached from `at` on, in epoch ms; undefined: it can. */
  lost(at: number | undefined): void {
    this.#lostAt = at
    this.#show()
  }

  /** The store is so. */
  store(state: StoreState): void {
    this.#store = state
    this.#show()
  }

  /** The admin port refuses for this reason; undefined: it does not. */
  refused(reason: string | undefined): void {
    this.#refusal = reason
    this.#show()
  }

  #show(): void {
    const text = this.#text()
    const banner = html('banner')
    banner.hidden = text === undefined
    setText(banner, text ?? '')
    setFlag(document.body, 'stale', this.isStale && !this.isPaused)
    this.#showAge()
  }

  /** Of when the figures are. */
  #showAge(): void {
    const age = html('age')
    const at = this.#pausedAt ?? this.#lostAt ?? this.#store?.readAt
    age.hidden = !this.isStale || at === undefined
    if (at !== undefined) setText(age, texts.figuresOf(clockText(at)))
  }

  #text(): string | undefined {
    if (this.#refusal !== undefined) return this.#refusal
    if (this.#lostAt !== undefined) return texts.disconnectedSince(clockText(this.#lostAt))
    if (this.#store?.since === undefined) return undefined
    const since = clockText(this.#store.since)
    if (this.#store.canRead) return texts.storeNotWritten(since)
    return this.#store.canWrite ? texts.storeNotRead(since) : texts.storeAway(since)
  }
}
