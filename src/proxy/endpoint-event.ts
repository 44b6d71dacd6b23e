// Owns finding the session id in a legacy stream: the first `endpoint` event, wherever the chunks split it.
import { sessionIdOf } from './routes.js'

/** The event is the first of its stream and a few dozen bytes long; what follows it is never looked at. */
const maxBytes = 8 * 1024

export class EndpointEvent {
  /** The event is complete, or is not going to come. */
  done = false
  sessionId: string | undefined
  #bytes = 0
  #line = ''
  #afterCarriageReturn = false
  #type = ''
  #data: string[] = []

  feed(chunk: Buffer): void {
    // Latin-1 keeps bytes and characters in step; ids are ASCII.
    for (const character of chunk.toString('latin1', 0, maxBytes - this.#bytes)) {
      this.#bytes++
      const lineEnd = character === '\r' || (character === '\n' && !this.#afterCarriageReturn)
      const restOfLineEnd = character === '\n' && this.#afterCarriageReturn
      this.#afterCarriageReturn = character === '\r'
      if (lineEnd) this.#endLine()
      else if (!restOfLineEnd) this.#line += character
      if (this.done) return
    }
    this.done = this.#bytes >= maxBytes
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
    if (this.#type === 'endpoint' && this.#data.length > 0) {
      const url = this.#data.join('\n').split('#', 1)[0]!
      this.sessionId = sessionIdOf(url.slice(url.indexOf('?') + 1))
      this.done = true
    }
    this.#type = ''
    this.#data = []
  }
}
