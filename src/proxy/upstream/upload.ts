// Owns the body of a request while the client still sends it.
import type { IncomingMessage } from 'node:http'
import { lastChunk, writeChunk } from '../http/chunked-coding.js'
import type { Connection } from './connection.js'

export class Upload {
  readonly #req: IncomingMessage
  readonly #connection: Connection
  /** As the client does; else it gave the length before. */
  readonly #chunked: boolean
  readonly #onData = (part: Buffer): void => {
    const flowing = this.#chunked ? writeChunk(this.#connection, part) : this.#connection.write(part)
    if (!flowing) this.#req.pause()
  }
  readonly #onEnd = (): void => {
    if (this.#chunked) this.#connection.write(lastChunk)
    this.#connection.end()
  }

  constructor(req: IncomingMessage, connection: Connection) {
    this.#req = req
    this.#connection = connection
    this.#chunked = req.headers['transfer-encoding'] !== undefined
    req.on('data', this.#onData).once('end', this.#onEnd)
  }

  resume(): void {
    this.#req.resume()
  }

  /** What still comes is read and dropped: the client may look for the answer only after it has sent everything. */
  cancel(): void {
    this.#req.off('data', this.#onData).off('end', this.#onEnd).resume()
  }
}
