// Owns what the answer to `initialize` tells: the revision that was negotiated, read from a bounded copy of its body.
import { FirstEvent, initializeResult, maxResultBytes, negotiatedRevision } from './first-event.js'

export class InitializeResponse {
  readonly #event: FirstEvent<string> | undefined
  readonly #json: Buffer[] = []
  #jsonBytes = 0

  /** An answer that is no event stream is one JSON text. */
  constructor(isEventStream: boolean) {
    if (isEventStream) this.#event = initializeResult()
  }

  /** Takes a part of the body; whether all that is looked for has come. */
  feed(chunk: Buffer): boolean {
    if (this.#event) {
      this.#event.feed(chunk)
      return this.#event.done
    }
    // Its memory is used again for what comes next.
    if (this.#jsonBytes <= maxResultBytes) this.#json.push(Buffer.from(chunk))
    this.#jsonBytes += chunk.length
    return false
  }

  /** Null where the answer does not tell. */
  get revision(): string | null {
    if (this.#event) return this.#event.value ?? null
    return this.#jsonBytes > maxResultBytes ? null : negotiatedRevision(Buffer.concat(this.#json).toString())
  }
}
