// Owns one connection to the upstream: requests out, their responses in, one at a time.
//
// This HTTP/1.1 client is our own because the proxy does little else per request than to use it. CPU time per request behind
// `node:http`, measured in one set-up: 20.5 µs with a lean client on `net` sockets, 28 to 31 µs with undici's `dispatch`, 42 µs with
// `http.request`. It also passes on what those hide or change: the order, case and repetition of header fields.
import type { Socket } from 'node:net'
import { type MonotonicMs, monotonicNow } from '../../util/time.js'
import { maxCopiedBytes } from '../http/chunked-coding.js'
import { InvalidUpstreamResponse, UpstreamTimeout } from '../http/proxy-errors.js'
import { ResponseTiming, type DelayedAckDetector } from './delayed-acks.js'
import type { Acknowledge } from './quick-acks.js'
import { type ResponseHandler, ResponseParser } from './response-parser.js'
import type { SerialUpstreamDetector } from './serial-upstream.js'
import { openUpstreamSocket } from './upstream-socket.js'

/** Called with what comes of a response, and with the state of its connection; no more after `onEnd` or `onError`. */
export interface ExchangeHandler extends ResponseHandler {
  /** All bytes of one read are handled; not called for the read that completes the response. */
  onReadEnd(): void
  /** The request's body can go on after `write` returned false. */
  onDrain(): void
  /** The connection is gone, and with it what was still to come of the response. */
  onError(error: unknown): void
}

/** How a connection is made; the same for all connections of a pool. */
export interface ConnectionOptions {
  /** Ends delayed acknowledgements. */
  acknowledge?: Acknowledge | undefined
  /** Finds out whether they slow responses down, where they cannot be ended. */
  delayedAcks?: DelayedAckDetector | undefined
  upstream: URL
  connectTimeoutMs: number
  /**
   * From the last part of a request that was sent, or that the upstream read if it reads slowly, to the head of the response, in
   * milliseconds, but for requests whose head may wait; 0: for ever.
   */
  upstreamTimeoutMs: number
  /** Learns of requests on new connections; undefined where nothing watches the upstream. */
  serialUpstream?: SerialUpstreamDetector | undefined
  /** Connections that are open, and that were opened since the process started: counted here. */
  census: { open: number; opened: number }
}

/** A request to send. */
export interface OutgoingRequest {
  method: string
  /** The head with its empty line, in Latin-1. */
  head: string
  /** All of the body, or its first part. */
  body: Buffer | null
  /** `body` is all. Otherwise the rest of the body follows with `write` and `end`. */
  complete: boolean
  /** The head of the response may come at any time: many servers send it with the first event of a stream. */
  headMayWait: boolean
}

const CLOSED = 'The connection to the upstream closed'

/** All connections read into this buffer: what one has read is used up before another one reads. */
const readBuffer = Buffer.allocUnsafeSlow(64 * 1024)

/** Connects at once; requests that are sent before it is connected wait for that. */
export class Connection {
  readonly #socket: Socket
  readonly #parser = new ResponseParser()
  readonly #acknowledge: Acknowledge | undefined
  readonly #timing: ResponseTiming | undefined
  readonly #headTimer: NodeJS.Timeout | undefined
  readonly #onClose: (connection: Connection) => void
  #handler: ExchangeHandler | undefined
  #onConnected: (() => void) | undefined
  /** It was made: what is sent may reach the upstream. */
  connected = false
  #sent = true
  #headMayWait = false
  /** Set until the first bytes come. */
  #serialUpstream: SerialUpstreamDetector | undefined
  /** When its last response was complete. */
  idleSince: MonotonicMs = 0
  /** From then on it is not used any more, unless it was before. */
  idleUntil: MonotonicMs = 0

  /** `onClose`: from now on the connection takes no request; may be called more than once. */
  constructor(options: ConnectionOptions, onClose: (connection: Connection) => void) {
    const { upstream, connectTimeoutMs, upstreamTimeoutMs, delayedAcks, serialUpstream, census } = options
    this.#serialUpstream = serialUpstream
    census.open++
    census.opened++
    const socket = openUpstreamSocket(upstream, {
      buffer: readBuffer,
      callback: length => {
        this.#read(readBuffer.subarray(0, length))
        return true
      }
    })
    this.#socket = socket
    this.#acknowledge = options.acknowledge
    this.#timing = delayedAcks && new ResponseTiming(delayedAcks)
    this.#onClose = onClose
    // After a standstill of the process timers fire first, although the connection may have been made meanwhile.
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
    // `once` would keep three more objects per listener for as long as a stream lasts.
    socket.on(upstream.protocol === 'https:' ? 'secureConnect' : 'connect', () => {
      endConnecting()
      this.connected = true
      this.#onConnected?.()
    })
    socket.on('end', () => this.#onEnd())
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') serialUpstream?.refused()
      this.#fail(error)
    })
    socket.on('close', () => {
      census.open--
      endConnecting()
      clearTimeout(this.#headTimer)
      serialUpstream?.closed(this)
      this.#fail(new InvalidUpstreamResponse(CLOSED))
    })
    socket.on('drain', () => this.#handler?.onDrain())
  }

  /** Whether it can take another request: the last one is sent, its response is complete, and neither side closes it. */
  get reusable(): boolean {
    return this.#sent && !this.#socket.destroyed && this.#parser.state === 'idle' && this.#parser.reusable
  }

  /** For how long after its last response the upstream leaves it open, in milliseconds, with a margin; undefined: it did not say. */
  get keepAliveMs(): number | undefined {
    return this.#parser.keepAliveMs
  }

  /** A body may still come behind its last response, which can have none. */
  get mayBeFollowed(): boolean {
    return this.#parser.mayBeFollowed
  }

  /** Sends a request; the response, or an error, goes to `handler`. */
  send({ method, head, body, complete, headMayWait }: OutgoingRequest, handler: ExchangeHandler): void {
    // A write to a destroyed socket would report no error.
    if (this.#socket.destroyed)
      return process.nextTick(() => handler.onError(new InvalidUpstreamResponse(CLOSED)))
    this.#handler = handler
    this.#parser.begin(method, handler)
    this.#sent = complete
    this.#headMayWait = headMayWait
    this.#timing?.begin(monotonicNow() - this.idleSince)
    this.#headTimer?.refresh()
    if (!headMayWait) this.#serialUpstream?.requested(this)
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

  /** Calls back once the connection is made, at once if it is. */
  whenConnected(callback: () => void): void {
    if (this.connected) callback()
    else this.#onConnected = callback
  }

  /** Sends a part of the body. Returns false if the next part should wait for `onDrain`. */
  write(part: Buffer | string): boolean {
    this.#headTimer?.refresh()
    return this.#socket.write(part, 'latin1')
  }

  /** The last part of the body has been written. */
  end(): void {
    this.#sent = true
    this.#headTimer?.refresh()
  }

  /** Reads nothing more of the response, until `resume`. */
  pause(): void {
    this.#socket.pause()
  }

  /** Reads on. */
  resume(): void {
    this.#socket.resume()
  }

  /** Closes the connection. The handler of its exchange, if any, is not called any more. */
  destroy(): void {
    this.#handler = undefined
    this.#onConnected = undefined
    this.#onClose(this)
    this.#socket.destroy()
  }

  #read(bytes: Buffer): void {
    const handler = this.#handler
    if (this.#serialUpstream !== undefined) {
      this.#serialUpstream.responded(this)
      this.#serialUpstream = undefined
    }
    try {
      this.#parser.feed(bytes)
    } catch (error) {
      return this.#fail(error)
    }
    const complete = this.#parser.state === 'idle'
    if (complete) this.#handler = undefined
    else {
      this.#acknowledge?.(this.#socket)
      handler?.onReadEnd()
    }
    this.#timing?.read(complete)
  }

  #onEnd(): void {
    this.#onClose(this)
    try {
      // libuv reports the end of the data before a reset as a clean end; but after a reset the socket has no peer.
      if (this.#socket.remoteAddress === undefined)
        throw new InvalidUpstreamResponse('The upstream reset the connection')
      this.#parser.finish()
    } catch (error) {
      this.#fail(error)
    }
  }

  #onHeadTimeout(timeoutMs: number): void {
    const waitsForUpstream = this.#sent || this.#socket.writableNeedDrain
    if (waitsForUpstream && !this.#headMayWait && this.#parser.state === 'head')
      this.#fail(new UpstreamTimeout(`No response within ${timeoutMs} ms`))
  }

  #fail(error: unknown): void {
    const handler = this.#handler
    this.destroy()
    handler?.onError(error)
  }
}
