// Owns one connection to the upstream: requests out, their answers in, one at a time.
import type { Socket } from 'node:net'
import { maxCopiedBytes } from '../http/chunked-coding.js'
import { InvalidUpstreamResponse, UpstreamTimeout } from '../http/proxy-errors.js'
import { ResponseTiming, type DelayedAckDetector } from './delayed-acks.js'
import { type ResponseHandler, ResponseParser } from './response-parser.js'
import { connect } from './upstream-socket.js'

export interface ExchangeHandler extends ResponseHandler {
  /** All that came with one read has been told. */
  onReadEnd(): void
  /** The request's body can go on after `write` returned false. */
  onDrain(): void
  /** The connection is gone, and what was still to come of the answer with it. */
  onError(error: unknown): void
}

export interface ConnectionOptions {
  nagle: DelayedAckDetector
  upstream: URL
  connectTimeoutMs: number
  /** From the last part of a request, or the last that the upstream read, to the head of its answer; 0: for ever. */
  upstreamTimeoutMs: number
  /** How many there are, and were since the process started. */
  census: { open: number; opened: number }
}

export interface OutgoingRequest {
  method: string
  /** The head with its empty line, in Latin-1. */
  head: string
  body: Buffer | null
  /** Otherwise the body follows with `write` and `end`. */
  complete: boolean
}

const CLOSED = 'The connection to the upstream closed'

/** All connections read into it, as what one has read is used up before another reads. */
const readBuffer = Buffer.allocUnsafeSlow(64 * 1024)

export class Connection {
  readonly #socket: Socket
  readonly #parser = new ResponseParser()
  readonly #timing: ResponseTiming
  readonly #headTimer: NodeJS.Timeout | undefined
  readonly #onClose: (connection: Connection) => void
  #handler: ExchangeHandler | undefined
  #sent = true
  /** When its last answer was complete, as `performance.now()`. */
  idleSince = 0

  /** `onClose`: from now on it takes no request; may be called more than once. */
  constructor(options: ConnectionOptions, onClose: (connection: Connection) => void) {
    const { upstream, connectTimeoutMs, upstreamTimeoutMs, census } = options
    census.open++
    census.opened++
    const socket = connect(upstream, {
      buffer: readBuffer,
      callback: length => {
        this.#read(readBuffer.subarray(0, length))
        return true
      }
    })
    this.#socket = socket
    this.#timing = new ResponseTiming(options.nagle)
    this.#onClose = onClose
    // After a standstill of the process timers come first, though the connection may be there.
    let connectTimer: NodeJS.Timeout | undefined = setTimeout(() => setImmediate(onTimeout), connectTimeoutMs)
    const onTimeout = (): void => {
      if (connectTimer) socket.destroy(new Error(`No connection within ${connectTimeoutMs} ms`))
    }
    const endConnecting = (): void => {
      clearTimeout(connectTimer)
      connectTimer = undefined
    }
    if (upstreamTimeoutMs > 0) {
      this.#headTimer = setTimeout(() => this.#onHeadTimeout(upstreamTimeoutMs), upstreamTimeoutMs).unref()
    }
    // `once` would keep three more objects for each, as long as a stream lasts.
    socket.on(upstream.protocol === 'https:' ? 'secureConnect' : 'connect', endConnecting)
    socket.on('end', () => this.#onEnd())
    socket.on('error', error => this.#fail(error))
    socket.on('close', () => {
      census.open--
      endConnecting()
      clearTimeout(this.#headTimer)
      this.#fail(new InvalidUpstreamResponse(CLOSED))
    })
    socket.on('drain', () => this.#handler?.onDrain())
  }

  /** The last request is sent, its answer is complete and allows another one, and the connection is there. */
  get reusable(): boolean {
    return this.#sent && !this.#socket.destroyed && this.#parser.state === 'idle' && this.#parser.reusable
  }

  send({ method, head, body, complete }: OutgoingRequest, handler: ExchangeHandler): void {
    // To write then would tell nobody.
    if (this.#socket.destroyed)
      return process.nextTick(() => handler.onError(new InvalidUpstreamResponse(CLOSED)))
    this.#handler = handler
    this.#parser.begin(method, handler)
    this.#sent = complete
    this.#timing.begin(performance.now() - this.idleSince)
    this.#headTimer?.refresh()
    const socket = this.#socket
    if (body === null) {
      socket.write(head, 'latin1')
    } else if (body.length <= maxCopiedBytes) {
      socket.write(head + body.toString('latin1'), 'latin1')
    } else {
      socket.cork()
      socket.write(head, 'latin1')
      socket.write(body)
      socket.uncork()
    }
  }

  /** A part of the body; false: wait for `onDrain` before the next. */
  write(part: Buffer | string): boolean {
    this.#headTimer?.refresh()
    return this.#socket.write(part, 'latin1')
  }

  /** The last part of the body has been written. */
  end(): void {
    this.#sent = true
    this.#headTimer?.refresh()
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** Its exchange, if any, is told nothing more. */
  destroy(): void {
    this.#handler = undefined
    this.#onClose(this)
    this.#socket.destroy()
  }

  #read(bytes: Buffer): void {
    const handler = this.#handler
    try {
      this.#parser.feed(bytes)
    } catch (error) {
      return this.#fail(error)
    }
    const complete = this.#parser.state === 'idle'
    if (complete) this.#handler = undefined
    else handler?.onReadEnd()
    this.#timing.read(complete)
  }

  #onEnd(): void {
    this.#onClose(this)
    try {
      // libuv reports the end of the data before a reset as a clean end, but then there is no peer any more.
      if (this.#socket.remoteAddress === undefined)
        throw new InvalidUpstreamResponse('The upstream reset the connection')
      this.#parser.finish()
    } catch (error) {
      this.#fail(error)
    }
  }

  #onHeadTimeout(timeoutMs: number): void {
    const waitsForUpstream = this.#sent || this.#socket.writableNeedDrain
    if (waitsForUpstream && this.#parser.state === 'head')
      this.#fail(new UpstreamTimeout(`No answer within ${timeoutMs} ms`))
  }

  #fail(error: unknown): void {
    const handler = this.#handler
    this.destroy()
    handler?.onError(error)
  }
}
