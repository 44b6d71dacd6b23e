// Owns finding the first event of a stream that tells something, wherever the chunks split it.
import { revisionOf } from '../../mcp/client-info.js'
import { sessionIdOf } from '../../mcp/routes.js'
import { memberOf, parseJson } from '../../util/json.js'
import { maxHeaderBytes } from '../http/header-section.js'

/** `read` tells what an event says; undefined where the next one is to be looked at. */
export class FirstEvent<T> {
  /** It is found, or is not going to come. */
  done = false
  value: T | undefined
  readonly #read: (type: string, data: string) => T | undefined
  /** What follows is never looked at. */
  readonly #maxBytes: number
  #bytes = 0
  #line = ''
  #afterCarriageReturn = false
  #type = ''
  #data: string[] = []

  constructor(maxBytes: number, read: (type: string, data: string) => T | undefined) {
    this.#maxBytes = maxBytes
    this.#read = read
  }

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

/** The `endpoint` event of a legacy stream: the first of it. A longer one would fit in no request. */
export const endpointEvent = (): FirstEvent<{ sessionId: string | undefined }> =>
  new FirstEvent(maxHeaderBytes, (type, data) => {
    if (type !== 'endpoint') return undefined
    // Parsers of URLs take line ends out.
    const url = data.replaceAll('\n', '').split('#', 1)[0]!
    return { sessionId: sessionIdOf(url.slice(url.indexOf('?') + 1)) }
  })

/** The longest answer to `initialize` that is read. */
export const maxResultBytes = 64 * 1024

/** The event that answers `initialize`. */
export const initializeResult = (): FirstEvent<string> =>
  new FirstEvent(maxResultBytes, (_type, data) => negotiatedRevision(data) ?? undefined)

/** `result.protocolVersion` of a JSON-RPC answer. */
export function negotiatedRevision(json: string): string | null {
  return revisionOf(memberOf(memberOf(parseJson(json), 'result'), 'protocolVersion'))
}
