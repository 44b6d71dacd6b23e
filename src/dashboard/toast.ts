// Owns the message at the lower edge that says what was done.
import { setFlag, setText } from './dom.js'

/** How long a message stays. Chosen: long enough to read two lines. */
const SHOWN_MS = 8_000

/** One message at a time. */
export class Toast {
  readonly #element: HTMLElement
  #timer: number | undefined

  constructor(element: HTMLElement) {
    this.#element = element
  }

  /** Shows a message instead of the one before. */
  show(text: string): void {
    setText(this.#element, text)
    setFlag(this.#element, 'shown', true)
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      setFlag(this.#element, 'shown', false)
      setText(this.#element, '')
    }, SHOWN_MS)
  }
}
