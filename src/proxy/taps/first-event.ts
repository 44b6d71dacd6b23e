// Owns finding the first event of a stream that says what is looked for, wherever the chunks split it.
import { revisionOf } from '../../mcp/client-info.js'
import { memberOf, parseJson } from '../../util/json.js'
import { maxHeaderBytes } from '../http/header-section.js'

/** Reads a stream up to the event of which `read` returns a value, and no further than `maxBytes`. */
export class FirstEvent<T> {
  /** The event is found, or will not come within `maxBytes`. */
  done = false
  value: T | undefined
  readonly #read: (type: string, data: string) => T | undefined
  readonly #maxBytes: number
  #bytes = 0
  #line = ''
  #afterCarriageReturn = false
  #type = ''
  #data: string[] = []

  /** `read` returns undefined for an event that is not the one. */
  constructor(maxBytes: number, read: (type: string, data: string) => T | undefined) {
    this.#maxBytes = maxBytes
    this.#read = read
  }

  /** The next bytes of the stream. */
  feed(chunk: Buffer): void {
    // Latin-1 keeps bytes and characters in step; what is looked for is ASCII.
    for (const character of chunk.toString('latin1', 0, this.#maxBytes - this.#bytes)) {
      this.#bytes++
      const lineEnd = character === '\r' || (character === '\n' && !this.#afterCarriageReturn)
      const restOfLineEnd = character === '\n' && this.#afterCarriageReturn
      this.#afterCarriageReturn = character === '\r'
      if (lineEnd) this.#endLine()
      else if (!restOfLineEnd) this.#line += character
      if (this.done) return
    }
    this.done = this.#bytes >= this.#maxBytes
  }

  #endLine(): void {
    const line = this.#line.replace(/^\u00ef\u00bb\u00bf/, '')
    this.#line = ''
    if (line === '') return this.#endEvent()
    const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line) ?? []
    if (field === 'event') this.#type = value ?? ''
    if (field === 'data') this.#data.push(value ?? '')
  }

  #endEvent(): void {
    if (this.#data.length > 0) this.value = this.#read(this.#type, this.#data.join('\n'))
    this.done = this.value !== undefined
    this.#type = ''
    this.#data = []
  }
}

/**
 * Finds the `endpoint` event of a legacy stream, its first one (MCP 2024-11-05, "HTTP with SSE"): the URI for messages, as it
 * was written. One longer than a header section would fit in no request.
 */
export const endpointEvent = (): FirstEvent<string> =>
  new FirstEvent(maxHeaderBytes, (type, data) =>
    type === 'endpoint' ? Buffer.from(data, 'latin1').toString() : undefined
  )

/** The longest response to `initialize` that is read, in bytes. Chosen: far more than servers send. */
export const maxResultBytes = 64 * 1024

/** Finds the response to `initialize` in an event stream: the revision that was negotiated. */
export const initializeResult = (): FirstEvent<string> =>
  new FirstEvent(maxResultBytes, (_type, data) => negotiatedRevision(data) ?? undefined)

/** `result.protocolVersion` of a JSON-RPC response, or of one in a batch (MCP 2025-03-26); null where there is none. */
export function negotiatedRevision(json: string): string | null {
  const value = parseJson(json)
  const messages: unknown[] = Array.isArray(value) ? value : [value]
  const revisions = messages.map(message => memberOf(memberOf(message, 'result'), 'protocolVersion'))
  return revisionOf(revisions.find(revision => revision !== undefined))
}
