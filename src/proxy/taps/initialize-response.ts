// Owns the revision of MCP that a response to `initialize` negotiates, read from a bounded copy of its body.
import { FirstEvent, initializeResult, maxResultBytes, negotiatedRevision } from './first-event.js'

/** The body of a response to `initialize`, an event stream or one JSON text. */
export class InitializeResponse {
  readonly #event: FirstEvent<string> | undefined
  readonly #json: Buffer[] = []
  #jsonBytes = 0

  constructor(isEventStream: boolean) {
    if (isEventStream) this.#event = initializeResult()
  }

  /** The next bytes of the body. Returns whether all that is looked for has come. */
  feed(chunk: Buffer): boolean {
    if (this.#event) {
      this.#event.feed(chunk)
      return this.#event.done
    }
    // The memory of `chunk` is used again for the bytes that come next.
    if (this.#jsonBytes <= maxResultBytes) this.#json.push(Buffer.from(chunk))
    this.#jsonBytes += chunk.length
    return false
  }

  /** The negotiated revision of MCP; null where the response does not name it. */
  get revision(): string | null {
    if (this.#event) return this.#event.value ?? null
    return this.#jsonBytes > maxResultBytes ? null : negotiatedRevision(Buffer.concat(this.#json).toString())
  }
}
