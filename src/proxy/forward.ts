// Owns the way of one request to the upstream and of its answer back.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Operations } from '../metrics/operations.js'
import { chunkOf, maxCopiedBytes, writeChunk } from './http/chunked-coding.js'
import { requestHeaders, responseHeaders } from './http/headers.js'
import { failureOf, sendFailure, type Witnesses } from './http/proxy-errors.js'
import { readTarget } from './http/request-target.js'
import { tapFor } from './taps/tap-for.js'
import type { Accounting, StreamSession, Tap } from './taps/tap.js'
import type { ConnectionPool } from './upstream/connection-pool.js'
import type { Connection, ExchangeHandler } from './upstream/connection.js'
import type { ResponseHead } from './upstream/response-parser.js'
import { Upload } from './upstream/upload.js'

export interface ForwardContext extends Accounting, Witnesses {
  upstream: URL
  rewriteHost: boolean
  upstreamTimeoutMs: number
  connections: ConnectionPool
  operations: Operations
  /** The proxy is closing: clients are told to come back on another connection. */
  closing: boolean
  /** Exchanges that wait for an answer although their client left. */
  unattended: Set<Exchange>
  /** Those whose end is not yet observed. */
  inFlight: number
  /**
   * By client, the one that began last. A set of those in flight would grow the heap: V8 makes its table anew after so many
   * changes, and what an old table held lives until the next full collection.
   */
  latest: Map<Socket, Exchange>
  /** Connections of clients. */
  clients: Set<Socket>
  /** Those of them that speak WebSocket now. */
  upgraded: Set<Socket>
}

export function forward(context: ForwardContext, req: IncomingMessage, res: ServerResponse): void {
  // A body that came with its head is there by the next tick.
  process.nextTick(begin, new Exchange(context, req, res))
}

const begin = (exchange: Exchange): void => exchange.begin()

export class Exchange implements ExchangeHandler {
  readonly #context: ForwardContext
  readonly #req: IncomingMessage
  readonly #res: ServerResponse
  #connection: Connection | undefined
  #upload: Upload | undefined
  #tap: Tap | undefined
  /** When it was begun to be sent, as `performance.now()`. */
  #sentAt = 0
  /** The answer's body goes out in chunks, written here: node would need four writes for each. */
  #chunked = false
  /** What is to be written of the answer: in Latin-1, and in chunks if the body is to be. */
  #pending = ''
  /** The head, or something of the body, was not written yet. */
  #unsent = false
  #paused = false
  #over = false

  constructor(context: ForwardContext, req: IncomingMessage, res: ServerResponse) {
    this.#context = context
    this.#req = req
    this.#res = res
  }

  /** The session whose stream this is, while it lasts. */
  get streamOf(): StreamSession | undefined {
    return this.#over ? undefined : this.#tap?.streamOf
  }

  /** Ends it here and upstream, as if the client had left. */
  cut(): void {
    this.#res.destroy()
  }

  begin(): void {
    if (this.#req.socket.destroyed) return
    this.#context.inFlight++
    this.#context.latest.set(this.#req.socket, this)
    this.#res.sendDate = false
    this.#res.on('close', () => this.#onClientClose())
    try {
      this.#send()
    } catch (error) {
      this.#fail(error)
    }
  }

  #send(): void {
    const { upstream, rewriteHost, connections } = this.#context
    const req = this.#req
    const method = req.method ?? ''
    const { path, authority, upstreamPath } = readTarget(req, upstream)
    const whole = req.complete || req.readableLength === Number(req.headers['content-length'])
    const body = whole ? (req.read() as Buffer | null) : null
    const fields = requestHeaders(req, {
      authority,
      rewrittenHost: rewriteHost ? upstream.host : undefined,
      bodyBytes: whole ? (body?.length ?? 0) : undefined
    })
    this.#sentAt = performance.now()
    this.#tap = tapFor(req, path, this.#context)
    if (body !== null) this.#tap?.requestBody(body)
    const connection = connections.take()
    this.#connection = connection
    const head = `${method} ${upstreamPath} HTTP/1.1\r\n${lines(fields)}\r\n`
    connection.send({ method, head, body, complete: whole }, this)
    if (whole) return
    this.#upload = new Upload(req, connection)
    if (this.#tap) req.on('data', (part: Buffer) => this.#tap?.requestBody(part))
  }

  onDrain(): void {
    this.#upload?.resume()
  }

  /** Written past node, which can send only some of them. They are advice: a client that reads slowly misses them. */
  onInformation({ status, reason, fields }: ResponseHead): void {
    const { socket } = this.#res
    if (this.#over || socket === null || socket.writableNeedDrain || this.#req.httpVersionMinor === 0) return
    socket.write(`HTTP/1.1 ${status} ${reason}\r\n${lines(responseHeaders(fields, false))}\r\n`, 'latin1')
  }

  onHead({ status, reason, fields, headers }: ResponseHead): void {
    if (this.#over) return
    const res = this.#res
    const hasBody = this.#req.method !== 'HEAD' && status !== 204 && status !== 304
    const chunked = hasBody && headers['content-length'] === undefined && this.#req.httpVersionMinor > 0
    const { traffic, operations } = this.#context
    traffic.answered(this.#req.method ?? '', status, this.#seconds())
    this.#tap?.head(status, headers)
    if (this.#tap?.operation) operations.began(this.#tap.operation)
    if (res.destroyed) return this.abort()
    if (this.#context.closing) res.shouldKeepAlive = false
    res.writeHead(status, reason, responseHeaders(fields, chunked))
    this.#chunked = chunked
    res.chunkedEncoding = false
    this.#unsent = true
  }

  onData(part: Buffer): void {
    if (this.#over) return
    this.#tap?.chunk(part)
    if (part.length > maxCopiedBytes) return this.#writeLarge(Buffer.from(part))
    const text = part.toString('latin1')
    this.#pending += this.#chunked ? chunkOf(text) : text
    this.#unsent = true
  }

  onReadEnd(): void {
    if (!this.#over && this.#unsent) this.#write()
  }

  onEnd(trailers: string[]): void {
    const connection = this.#connection!
    if (this.#paused) connection.resume()
    this.#upload?.cancel()
    this.#context.connections.release(connection)
    if (this.#over) return
    this.#finish(true, true)
    if (this.#chunked) this.#pending += `0\r\n${lines(responseHeaders(trailers, true))}\r\n`
    sendNow(this.#res, this.#pending)
    this.#res.end()
  }

  onError(error: unknown): void {
    this.#fail(error)
  }

  #write(): void {
    const text = this.#pending
    this.#pending = ''
    this.#unsent = false
    this.#heed(sendNow(this.#res, text))
    flattenHead(this.#res)
  }

  #writeLarge(part: Buffer): void {
    if (this.#unsent) this.#write()
    this.#heed(this.#chunked ? writeChunk(this.#res, part) : this.#res.write(part))
  }

  /** Reads no more from the upstream while the client has enough to read. */
  #heed(flowing: boolean): void {
    if (flowing || this.#paused) return
    this.#paused = true
    this.#connection!.pause()
    this.#req.socket.once('drain', () => {
      this.#paused = false
      if (!this.#over) this.#connection!.resume()
    })
  }

  #fail(error: unknown): void {
    this.#abandon()
    if (this.#over) return
    this.#finish(true)
    if (this.#res.destroyed) return
    if (!this.#res.headersSent) return sendFailure(this.#res, failureOf(error, this.#req, this.#context))
    this.#context.traffic.failed(this.#req.method ?? '', 'broken_off')
    // Without chunks or a length only a reset tells a broken answer from a whole one.
    if (this.#req.httpVersionMinor === 0) this.#res.socket?.resetAndDestroy()
    else this.#res.destroy()
  }

  #onClientClose(): void {
    if (this.#over) return
    const { closing, unattended, traffic } = this.#context
    const unanswered = this.#req.complete && !this.#res.headersSent
    // Some clients leave right after their DELETE; its answer tells whether the session ended.
    if (this.#req.method === 'DELETE' && this.#tap && unanswered && !closing) return void unattended.add(this)
    if (!this.#res.headersSent) traffic.abandoned()
    this.abort()
  }

  abort(): void {
    this.#finish(false)
    this.#abandon()
  }

  #abandon(): void {
    this.#upload?.cancel()
    this.#connection?.destroy()
  }

  #finish(byUpstream: boolean, whole = false): void {
    this.#over = true
    this.#context.unattended.delete(this)
    this.#context.inFlight--
    this.#tap?.end(byUpstream, whole)
    const operation = this.#tap?.operation
    if (operation) this.#context.operations.ended(operation, this.#seconds(), !byUpstream)
  }

  /** Since it was begun to be sent. */
  #seconds(): number {
    return (performance.now() - this.#sentAt) / 1_000
  }
}

/**
 * Writes `text`, behind the head if that is not out yet, at once: node's `end` writes it in parts, the last one empty,
 * which took 8 % more CPU a request. What `write` of the socket returned; it is the socket that drains.
 */
const sendNow = (res: ServerResponse, text: string): boolean =>
  (res as unknown as { _send: (data: string, encoding: 'latin1') => boolean })._send(text, 'latin1')

/**
 * Node keeps the head for as long as the answer lasts, as the tree of concatenations that it was built by: half a
 * kilobyte more than the text of it. Looking at a character makes it one string.
 */
function flattenHead(res: ServerResponse): void {
  ;(res as unknown as { _header: string | null })._header?.charCodeAt(0)
}

/** Header fields as lines; `fields`: name, value, name, value. */
function lines(fields: string[]): string {
  let text = ''
  for (let i = 0; i < fields.length; i += 2) text += `${fields[i]!}: ${fields[i + 1]!}\r\n`
  return text
}
