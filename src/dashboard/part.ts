// Owns how a part of the page says that it could not be read: since when, and why; what it shows is marked as old then.
import { ApiError } from './api.js'
import { el, setFlag, setText } from './dom.js'
import { clockText } from './format.js'
import { texts } from './texts.js'

/** Why a request failed, for readers. */
export function failureText(error: unknown): string {
  if (error instanceof ApiError) return error.message
  const isLate = error instanceof DOMException && error.name === 'TimeoutError'
  return isLate ? texts.noResponseInTime : texts.adminPortAway
}

/** A panel of the page and whether what it shows could be read. */
export class Part {
  readonly #panel: HTMLElement
  readonly #message = el('p', { class: 'failure', role: 'status', hidden: '' })
  #failingSince: number | undefined

  /** The message comes after `head`, a child of the panel. */
  constructor(panel: HTMLElement, head: Element) {
    this.#panel = panel
    head.after(this.#message)
  }

  /** Whether the last reading failed. */
  get isFailing(): boolean {
    return this.#failingSince !== undefined
  }

  /** It could be read. */
  ok(): void {
    this.#failingSince = undefined
    this.#message.hidden = true
    setFlag(this.#panel, 'failing', false)
  }

  /** It could not be read; `reason` is for readers. */
  failed(reason: string): void {
    this.#failingSince ??= Date.now()
    this.#message.hidden = false
    setText(this.#message, texts.notReadSince(clockText(this.#failingSince), reason))
    setFlag(this.#panel, 'failing', true)
  }

  /** Reads, and shows whether that worked. Rejects as `read` does. */
  async reading<T>(read: () => Promise<T>): Promise<T> {
    try {
      const result = await read()
      this.ok()
      return result
    } catch (error) {
      this.failed(failureText(error))
      throw error
    }
  }
}
