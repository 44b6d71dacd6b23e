// Owns writing a response to its client: parts that are read together are written together, and while the client has enough
// to read, nothing more is read from the upstream.
import type { ServerResponse } from 'node:http'
import { chunkOf, maxCopiedBytes, writeChunk } from './http/chunked-coding.js'
import { fieldLines } from './http/headers.js'
import { flattenHead, sendNow, takeOverFraming } from './http/node-internals.js'
import { sseComment, SseKeepAlive } from './http/sse-keep-alive.js'

/** A response as the client is to see it. */
export interface ClientResponseHead {
  status: number
  reason: string
  /** Names and values in turn. */
  fields: string[]
  /** The body goes out in chunks. */
  chunked: boolean
  /** After so long without a byte the client gets an SSE comment, in milliseconds; 0: never. */
  sseKeepAliveMs: number
}

/** One response. Its head waits for the first part of the body, or for `flush`. */
export class ClientResponse {
  readonly #res: ServerResponse
  readonly #upstream: { pause(): void; resume(): void }
  readonly #chunked: boolean
  readonly #keepAlive: SseKeepAlive | undefined
  /** What is to be written of the body: in Latin-1, and in chunks if it goes out so. */
  #pending = ''
  /** The head, or a part of the body, is not written yet. */
  #unsent = true
  #paused = false
  #over = false

  /** `upstream`: the connection from which the response is read. */
  constructor(
    res: ServerResponse,
    { status, reason, fields, chunked, sseKeepAliveMs }: ClientResponseHead,
    upstream: { pause(): void; resume(): void }
  ) {
    this.#res = res
    this.#upstream = upstream
    this.#chunked = chunked
    if (sseKeepAliveMs > 0) this.#keepAlive = new SseKeepAlive(sseKeepAliveMs, () => this.#comment())
    res.writeHead(status, reason, fields)
    takeOverFraming(res)
  }

  /** Nothing is under way, and the body may end here. */
  get isBetweenParts(): boolean {
    return this.#chunked && !this.#unsent
  }

  /** Takes a part of the body. It is copied. */
  add(part: Buffer): void {
    this.#keepAlive?.passed(part)
    if (part.length > maxCopiedBytes) return this.#writeLarge(Buffer.from(part))
    const text = part.toString('latin1')
    this.#pending += this.#chunked ? chunkOf(text) : text
    this.#unsent = true
  }

  /** Writes what waits. */
  flush(): void {
    if (this.#unsent) this.#write()
  }

  /** The upstream has sent all: its connection may be read again, whatever the client does. */
  releaseUpstream(): void {
    if (this.#paused) this.#upstream.resume()
  }

  /** No part follows any more, and no comment. */
  finish(): void {
    this.#over = true
    this.#keepAlive?.end()
  }

  /** Ends the body. `trailers`: names and values in turn, for a body in chunks. */
  end(trailers: string[]): void {
    if (this.#chunked) this.#pending += `0\r\n${fieldLines(trailers)}\r\n`
    sendNow(this.#res, this.#pending)
    this.#res.end()
  }

  /** Ends it so that the client sees that it is incomplete. */
  breakOff(): void {
    // Without chunks or a length only a reset distinguishes an incomplete response from a complete one.
    if (this.#res.req.httpVersionMinor === 0) this.#res.socket?.resetAndDestroy()
    else this.#res.destroy()
  }

  /** Not while the client has enough to read. */
  #comment(): void {
    if (this.#over || this.#paused) return
    this.#pending += chunkOf(sseComment)
    this.#write()
  }

  #write(): void {
    const text = this.#pending
    this.#pending = ''
    this.#unsent = false
    this.#heed(sendNow(this.#res, text))
    flattenHead(this.#res)
  }

  #writeLarge(part: Buffer): void {
    this.flush()
    this.#heed(this.#chunked ? writeChunk(this.#res, part) : this.#res.write(part))
  }

  /** Reads no more from the upstream while the client has enough to read. */
  #heed(flowing: boolean): void {
    if (flowing || this.#paused) return
    this.#paused = true
    this.#upstream.pause()
    this.#res.req.socket.once('drain', () => {
      this.#paused = false
      if (!this.#over) this.#upstream.resume()
    })
  }
}
