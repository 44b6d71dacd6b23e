// Owns reading what the body of a response says of its session, from a bounded copy, before its end passes.
import { isSuccessful } from '../../util/http-status.js'
import {
  firstMessageIn,
  MAX_ERROR_BYTES,
  type SessionError,
  sessionErrorIn
} from '../../mcp/session-not-found.js'
import type { ResponseHeaders } from '../http/header-section.js'

/** Every JSON-RPC error holds it, and most other responses do not, which saves parsing them. */
const ERROR_MEMBER = '"error"'

/** Reads the body of one response for which `mayBeSessionError` holds, and tells once what it says. */
export class SessionErrorReader {
  readonly #status: number
  readonly #length: number | undefined
  #tell: ((error: SessionError | undefined) => void) | undefined
  #chunks: Buffer[] = []
  #bytes = 0

  constructor(status: number, headers: ResponseHeaders, tell: (error: SessionError | undefined) => void) {
    const length = headers['content-length']
    this.#status = status
    this.#length = length === undefined ? undefined : Number(length)
    this.#tell = tell
  }

  /** The next bytes of the body. */
  chunk(chunk: Buffer): void {
    if (!this.#tell) return
    this.#bytes += chunk.length
    if (this.#bytes > MAX_ERROR_BYTES) this.#decide(undefined)
    else if (this.#bytes === this.#length) this.#decide([...this.#chunks, chunk])
    // The memory of `chunk` is used again for the bytes that come next.
    else this.#chunks.push(Buffer.from(chunk))
  }

  /** The body is over; one that broke off says nothing. */
  end(whole: boolean): void {
    this.#decide(whole ? this.#chunks : undefined)
  }

  #decide(chunks: readonly Buffer[] | undefined): void {
    const tell = this.#tell
    this.#tell = undefined
    this.#chunks = []
    if (tell) tell(chunks && this.#read(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)))
  }

  #read(body: Buffer): SessionError | undefined {
    if (isSuccessful(this.#status) && !body.includes(ERROR_MEMBER)) return undefined
    return sessionErrorIn(this.#status, body.toString())
  }
}

/** What the first message of an event stream says of its session; undefined where it is not whole within the chunk. */
export const errorInFirstMessage = (status: number, chunk: Buffer): SessionError | undefined =>
  chunk.includes(ERROR_MEMBER)
    ? sessionErrorIn(status, firstMessageIn(chunk.toString('utf8', 0, MAX_ERROR_BYTES)))
    : undefined
