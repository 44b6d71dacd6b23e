// Owns the body of a request while the client still sends it.
import type { IncomingMessage } from 'node:http'
import { lastChunk, writeChunk } from '../http/chunked-coding.js'
import type { Connection } from './connection.js'

/** Passes each part of the body on as it comes, no faster than the upstream reads. */
export class Upload {
  readonly #req: IncomingMessage
  readonly #connection: Connection
  /** The client sends chunks, and so does the proxy; otherwise the length is known. */
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

  /** The upstream has read what was sent; the next part may come. */
  resume(): void {
    this.#req.resume()
  }

  /** Reads and drops what still comes: some clients look for the response only after they have sent everything. */
  cancel(): void {
    this.#req.off('data', this.#onData).off('end', this.#onEnd).resume()
  }
}
