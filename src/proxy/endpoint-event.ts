// Owns the one change that the proxy makes to a body: the URL in the `endpoint` event of a legacy stream, where the upstream's
// URLs are other ones than the client's.

/** How far the stream is searched for it, in bytes, and the most that is held back. Chosen: far more than such an event has. */
const MAX_BYTES = 8 * 1024

const lineEnd = '(?:\\r\\n|\\n|\\r(?!\\n))'
/** An event, up to the empty line that ends it (WHATWG HTML, "Server-sent events"). */
const wholeEvent = new RegExp(`^[^]*?${lineEnd}${lineEnd}`)
const isEndpointEvent = /(?:^|[\r\n])(?:\u00ef\u00bb\u00bf)?event: ?endpoint(?=[\r\n])/
const dataLine = /(?<=(?:^|[\r\n])(?:\u00ef\u00bb\u00bf)?data: ?(?! ))[^\r\n]*/g

/** Passes a legacy stream on, but for the URL in its first `endpoint` event (MCP 2024-11-05, "HTTP with SSE"). */
export class EndpointEvent {
  readonly #replace: (url: string) => string
  /** What came of an event that is not complete, in Latin-1; undefined once the event was replaced, or too much came. */
  #held: string | undefined = ''
  /** Of the events before. */
  #bytes = 0

  /** `replace` is given the URL as the upstream wrote it. */
  constructor(replace: (url: string) => string) {
    this.#replace = replace
  }

  /** Takes a part of the stream; returns what goes on to the client, which may be empty. */
  feed(part: Buffer): Buffer {
    if (this.#held === undefined) return part
    this.#held += part.toString('latin1')
    let text = ''
    for (;;) {
      const event = wholeEvent.exec(this.#held)?.[0]
      const bytes = this.#bytes + (event ?? this.#held).length
      if (bytes > MAX_BYTES) return this.#passOn(text)
      if (event === undefined) return Buffer.from(text, 'latin1')
      this.#bytes = bytes
      this.#held = this.#held.slice(event.length)
      if (isEndpointEvent.test(event)) return this.#passOn(text + this.#replaced(event))
      text += event
    }
  }

  /** The stream ended; returns what was held back. */
  end(): Buffer {
    return this.#passOn('')
  }

  /** `text` and all that is held; from now on nothing is held. */
  #passOn(text: string): Buffer {
    const rest = this.#held ?? ''
    this.#held = undefined
    return Buffer.from(text + rest, 'latin1')
  }

  /** An event with its URL on several lines stays as it is: nobody writes it so. */
  #replaced(event: string): string {
    return event.match(dataLine)?.length === 1 ? event.replace(dataLine, url => this.#replace(url)) : event
  }
}
