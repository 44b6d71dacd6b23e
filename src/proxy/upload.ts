// Owns the body of a request while the client still sends it.
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'

/**
 * The client's body as a stream of its own. undici destroys the stream it sends when the upstream answers before it
 * has all of it; the request itself must survive that, or the answer would be lost with the client's connection.
 */
export class Upload extends Readable {
  readonly #req: IncomingMessage
  readonly #onData = (chunk: Buffer): void => {
    if (!this.push(chunk)) this.#req.pause()
  }

  constructor(req: IncomingMessage) {
    super({ highWaterMark: req.readableHighWaterMark })
    this.#req = req
    req.on('data', this.#onData)
    req.on('end', () => this.push(null))
    this.on('error', () => undefined)
  }

  override _read(): void {
    this.#req.resume()
  }

  /** What still comes is read and dropped: the client may look for the answer only after it has sent everything. */
  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#req.off('data', this.#onData)
    this.#req.resume()
    callback(error)
  }
}
