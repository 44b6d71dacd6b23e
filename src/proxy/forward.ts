// Owns the way of one request to the upstream and of its answer back.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyBaseLogger } from 'fastify'
import type { Dispatcher } from 'undici'
import type { Observe } from '../sessions/observation.js'
import type { Connection, Connections } from './connections.js'
import { failureOf, InvalidAnswer, sendFailure } from './errors.js'
import { requestHeaders, responseHeaders } from './headers.js'
import { tapFor, type AnswerHeaders, type Tap } from './observe.js'
import type { Routes } from './routes.js'
import { readTarget } from './target.js'
import { Upload } from './upload.js'

export interface ForwardContext {
  upstream: URL
  rewriteHost: boolean
  upstreamTimeoutMs: number
  connections: Connections
  routes: Routes
  observe: Observe
  logger: FastifyBaseLogger
  /** The proxy is closing: clients are told to come back on another connection. */
  closing: boolean
  /** Exchanges whose end is not yet observed. */
  inFlight: number
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
const flush = (exchange: Exchange): void => exchange.flush()

/** Written to send a head whose body is still to come: `flushHeaders` would send it as UTF-8. */
const noBytes = Buffer.alloc(0)

class Exchange implements Dispatcher.DispatchHandler {
  readonly #context: ForwardContext
  readonly #req: IncomingMessage
  readonly #res: ServerResponse
  #connection: Connection | undefined
  #tap: Tap | undefined
  /** The chunk that came last; it waits for the end of this turn of the event loop, as it may be the last one. */
  #pending: Buffer | undefined
  #flushDue = false
  #over = false

  constructor(context: ForwardContext, req: IncomingMessage, res: ServerResponse) {
    this.#context = context
    this.#req = req
    this.#res = res
  }

  begin(): void {
    if (this.#req.socket.destroyed) return
    this.#context.inFlight++
    this.#res.sendDate = false
    this.#res.once('close', () => this.#onClientClose())
    try {
      this.#dispatch()
    } catch (error) {
      this.#fail(error)
    }
  }

  #dispatch(): void {
    const { upstream, rewriteHost, upstreamTimeoutMs, connections, routes, observe } = this.#context
    const req = this.#req
    const { path, authority, upstreamPath } = readTarget(req, upstream)
    const whole = req.complete || req.readableLength === Number(req.headers['content-length'])
    const headers = requestHeaders(req, {
      authority,
      rewrittenHost: rewriteHost ? upstream.host : undefined,
      withContentLength: !whole
    })
    this.#tap = tapFor(req, path, routes, observe)
    this.#connection = connections.take()
    const options: Dispatcher.DispatchOptions & { servername: string } = {
      path: upstreamPath,
      method: req.method as Dispatcher.HttpMethod,
      headers,
      body: whole ? (req.read() as Buffer | null) : new Upload(req),
      headersTimeout: upstreamTimeoutMs,
      // Otherwise undici takes the name for TLS from the `Host` field.
      servername: upstream.hostname
    }
    this.#connection.client.dispatch(options, this)
  }

  onRequestStart(): void {
    // undici knows a handler of the current kind by this method.
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: AnswerHeaders,
    statusText = ''
  ): void {
    if (this.#over) return
    const res = this.#res
    const raw = controller.rawHeaders as Buffer[]
    const reason = printable(statusText)
    if (status < 200) return this.#inform(status, reason, raw)
    const hasBody = this.#req.method !== 'HEAD' && status !== 204 && status !== 304
    const chunked = hasBody && headers['content-length'] === undefined && this.#req.httpVersionMinor > 0
    const passed = responseHeaders(raw, chunked)
    this.#tap?.head(status, headers)
    if (this.#context.closing) res.shouldKeepAlive = false
    res.writeHead(status, reason, passed)
    // A 304 may give the length of the body it does not have, which undici then finds missing.
    if (status === 304) this.#end()
    else this.#flushThisTurn()
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#over) return
    this.#tap?.chunk(chunk)
    if (this.#pending !== undefined) this.#write(this.#pending)
    this.#pending = chunk
    this.#flushThisTurn()
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    const connection = this.#connection!
    if (connection.broken) return this.#fail(new InvalidAnswer('The upstream reset the connection'))
    this.#context.connections.release(connection)
    if (this.#over) return
    const trailers = controller.rawTrailers as Buffer[]
    if (trailers.length > 0) this.#res.addTrailers(pairs(responseHeaders(trailers, true)))
    this.#end()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#fail(error)
  }

  /** 1xx, written past node, which can send only some of them. They are advice: a client that reads slowly misses them. */
  #inform(status: number, reason: string, raw: Buffer[]): void {
    if (status === 101) throw new InvalidAnswer('The upstream switched protocols without being asked')
    const { socket } = this.#res
    if (socket === null || socket.writableNeedDrain || this.#req.httpVersionMinor === 0) return
    const fields = pairs(responseHeaders(raw, false)).map(([name, value]) => `${name}: ${value}\r\n`)
    socket.write(`HTTP/1.1 ${status} ${reason}\r\n${fields.join('')}\r\n`, 'latin1')
  }

  #flushThisTurn(): void {
    if (this.#flushDue) return
    this.#flushDue = true
    process.nextTick(flush, this)
  }

  flush(): void {
    this.#flushDue = false
    if (this.#over) return
    const chunk = this.#pending ?? noBytes
    this.#pending = undefined
    this.#write(chunk)
  }

  #write(chunk: Buffer): void {
    const connection = this.#connection!
    if (this.#res.write(chunk) || connection.paused) return
    connection.paused = true
    this.#res.once('drain', () => connection.resume())
  }

  #end(): void {
    this.#finish()
    this.#res.end(this.#pending)
  }

  #fail(error: unknown): void {
    void this.#connection?.client.destroy()
    if (this.#over) return
    this.#finish()
    if (!this.#res.headersSent) sendFailure(this.#res, failureOf(error, this.#req, this.#context.logger))
    // Without chunks or a length only a reset tells a broken answer from a whole one.
    else if (this.#req.httpVersionMinor === 0) this.#res.socket?.resetAndDestroy()
    else this.#res.destroy()
  }

  #onClientClose(): void {
    if (this.#over) return
    this.#finish()
    void this.#connection?.client.destroy()
  }

  #finish(): void {
    this.#over = true
    this.#context.inFlight--
    this.#tap?.end()
  }
}

/** A reason phrase that node sends: undici reads it as UTF-8, node writes it as Latin-1. */
function printable(reason: string): string {
  return /[^\t\x20-\x7e]/.test(reason) ? Buffer.from(reason).toString('latin1') : reason
}

function pairs(flat: string[]): [string, string][] {
  const result: [string, string][] = []
  for (let i = 0; i < flat.length; i += 2) result.push([flat[i]!, flat[i + 1]!])
  return result
}
