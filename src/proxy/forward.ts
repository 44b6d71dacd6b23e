// Owns the way of one request to the upstream, and of its response back to the client.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Operations } from '../metrics/operations.js'
import type { Traffic } from '../metrics/traffic.js'
import { isSuccessful } from '../util/http-status.js'
import { type EpochMs, type MonotonicMs, monotonicNow, SECOND_MS } from '../util/time.js'
import { type AccessError, accessEntry, type WriteAccess } from './access-entry.js'
import type { Opening, PrincipalLimit } from './admission/principal-limit.js'
import type { Balancer } from './balancing/balancer.js'
import type { Upstream } from './balancing/upstream.js'
import { ClientResponse } from './client-response.js'
import type { ClientExchange, ConnectedClients } from './connected-clients.js'
import { EndpointEvent } from './endpoint-event.js'
import { takeBytes } from './http/connection-bytes.js'
import {
  asksForStream,
  bodyLength,
  fieldLines,
  isEventStream,
  requestHeaders,
  responseHeaders,
  sessionIdIn,
  without
} from './http/headers.js'
import { limitLateBody } from './http/late-body.js'
import { endConnectionAfter } from './http/node-internals.js'
import { failureOf, sendFailure, type FailureLog, type FailureResponse } from './http/proxy-errors.js'
import { refuseAmbiguousFraming } from './http/request-target.js'
import type { RoutedRequest } from './http/routed-request.js'
import { OutcomeTap } from './taps/outcome-tap.js'
import { tapFor } from './taps/tap-for.js'
import type { Accounting, StreamSession, Tap } from './taps/tap.js'
import type { Connection, ExchangeHandler } from './upstream/connection.js'
import type { ResponseHead } from './upstream/response-parser.js'
import { Upload } from './upstream/upload.js'

/** What requests are forwarded with; the same for all requests of a proxy. */
export interface ForwardOptions {
  /** Says which gateway gets a request. */
  balancer: Balancer
  principalLimit: PrincipalLimit
  clients: ConnectedClients
  accounting: Accounting
  operations: Operations
  traffic: Traffic
  failures: FailureLog
  /** After so long without a byte an event stream gets a comment, in milliseconds; 0: never. */
  sseKeepAliveMs: number
  /** The access log, and what makes spans; undefined: there is neither. */
  writeAccess: WriteAccess | undefined
}

/** Forwards a request that was let in, in the next tick, and sends the response to `res`. */
export function forward(request: RoutedRequest, res: ServerResponse, options: ForwardOptions): void {
  // A body that came with its head is there by the next tick.
  process.nextTick(begin, new Exchange(request, res, options))
}

/** What makes an upstream compress its response. */
const notCompressed = new Set(['accept-encoding'])

const begin = (exchange: Exchange): void => exchange.begin()

class Exchange implements ExchangeHandler, ClientExchange {
  readonly #options: ForwardOptions
  readonly #request: RoutedRequest
  readonly #req: IncomingMessage
  readonly #res: ServerResponse
  /** The gateway that it was sent to. */
  #upstream: Upstream | undefined
  #isStream = false
  /** The response may open a session there, and has not begun. */
  #isOpening = false
  /** What the limit of its principal counts of it. */
  #counted: Opening | undefined
  /** The gateways that took no connection for it. */
  #refusedBy: Set<string> | undefined
  /** A body that was all there when its head came, while the request may still go to another gateway. */
  #wholeBody: Buffer | null | undefined
  #connection: Connection | undefined
  #upload: Upload | undefined
  #tap: Tap | undefined
  #outcome: OutcomeTap | undefined
  /** Of the response; undefined until its head came. */
  #status: number | undefined
  /** When its sending began. */
  #sentAt: MonotonicMs = 0
  /** From when its head came. */
  #response: ClientResponse | undefined
  #over = false
  /** Of a response that may create a task. */
  #readTask: ((part: Buffer) => void) | undefined
  /** Of a legacy stream that may name another URL than the client's. */
  #endpointEvent: EndpointEvent | undefined

  constructor(request: RoutedRequest, res: ServerResponse, options: ForwardOptions) {
    this.#options = options
    this.#request = request
    this.#req = request.req
    this.#res = res
  }

  get callOf(): StreamSession | undefined {
    const { route } = this.#request.target
    if (this.#over || this.#req.method !== 'POST' || route?.kind !== 'streamable') return undefined
    const sessionId = sessionIdIn(this.#req)
    return sessionId === undefined ? undefined : { endpointId: route.endpointId, sessionId }
  }

  get streamOf(): StreamSession | undefined {
    return this.#over ? undefined : this.#tap?.streamOf
  }

  notePresence(at: EpochMs, withinMs: number): boolean {
    if (this.#over) return false
    const hasBytes = this.#outcome?.noteBytes(at, withinMs) === true
    return this.#tap?.notePresence(at, withinMs) === true || hasBytes
  }

  cut(): void {
    this.#res.destroy()
  }

  begin(): void {
    if (this.#req.socket.destroyed) return
    this.#options.clients.begin(this, this.#req.socket)
    this.#res.sendDate = false
    this.#res.on('close', () => this.#onClientClose())
    try {
      refuseAmbiguousFraming(this.#req)
      const admitted = this.#options.principalLimit.admit(this.#request)
      if (admitted === undefined) return this.#choose()
      admitted.then(
        opening => this.#chooseLater(opening),
        (error: unknown) => this.#fail(error)
      )
    } catch (error) {
      this.#fail(error)
    }
  }

  /** The sessions of its principal were counted; the client may have left meanwhile. */
  #chooseLater(opening: Opening | undefined): void {
    if (this.#over) return opening?.settle(false)
    this.#counted = opening
    try {
      this.#choose()
    } catch (error) {
      this.#fail(error)
    }
  }

  #choose(): void {
    const upstream = this.#options.balancer.upstreamFor(this.#request)
    if (!(upstream instanceof Promise)) return this.#send(upstream)
    upstream.then(
      found => this.#sendLater(found),
      (error: unknown) => this.#fail(error)
    )
  }

  /** The gateway of its session was looked for; the client may have left meanwhile. */
  #sendLater(upstream: Upstream): void {
    if (this.#over) return
    try {
      this.#send(upstream)
    } catch (error) {
      this.#fail(error)
    }
  }

  #send(upstream: Upstream): void {
    const { balancer, accounting, operations } = this.#options
    const [request, req] = [this.#request, this.#req]
    const method = req.method ?? ''
    const upstreamPath = request.upstreamPath(upstream.basePath)
    const mayMove = balancer.mayMove(request)
    const isRetry = this.#refusedBy !== undefined
    const whole = isRetry
      ? this.#wholeBody !== undefined
      : req.complete || req.readableLength === Number(req.headers['content-length'])
    const body = isRetry ? (this.#wholeBody ?? null) : whole ? (req.read() as Buffer | null) : null
    let fields = requestHeaders(request, upstream.rewrittenHost, whole ? (body?.length ?? 0) : undefined)
    this.#upstream = upstream
    if (this.#replacesEndpoint) fields = without(fields, notCompressed)
    this.#sentAt = monotonicNow()
    this.#tap = tapFor(request, accounting, upstream)
    this.#outcome =
      this.#tap && new OutcomeTap(this.#tap, request, { observe: accounting.observe, operations })
    if (body !== null) this.#tap?.requestBody(body)
    upstream.underWay++
    this.#isStream = asksForStream(req)
    if (this.#isStream) upstream.streams++
    // No session is open yet, so no session meets two controls in a row.
    const mayBeControl = upstream.delayedAcks !== undefined && request.opensSessionOn !== undefined
    const connection = upstream.pool.take(mayBeControl)
    this.#connection = connection
    const head = `${method} ${upstreamPath} HTTP/1.1\r\n${fieldLines(fields)}\r\n`
    connection.send({ method, head, body, complete: whole, headMayWait: this.#isStream }, this)
    if (mayMove) {
      if (whole) this.#wholeBody = body
      this.#isOpening = request.opensSessionOn !== undefined
      if (this.#isOpening) upstream.opening++
    }
    if (whole) return
    // What was read of the body cannot be sent again.
    if (mayMove) connection.whenConnected(() => this.#beginUpload(connection))
    else this.#beginUpload(connection)
  }

  #beginUpload(connection: Connection): void {
    this.#upload = new Upload(this.#req, connection)
    if (this.#tap) this.#req.on('data', (part: Buffer) => this.#tap?.requestBody(part))
  }

  /** The request goes to no gateway any more, or to another one; its session, if it opened one, is counted by now. */
  #leaveUpstream(): void {
    if (this.#upstream === undefined) return
    this.#upstream.underWay--
    if (this.#isStream) this.#upstream.streams--
    this.#noteOpened()
  }

  #noteOpened(): void {
    if (!this.#isOpening) return
    this.#isOpening = false
    this.#upstream!.opening--
  }

  #settleOpening(accepted: boolean): void {
    this.#counted?.settle(accepted)
    this.#counted = undefined
  }

  /** The response is a legacy stream whose `endpoint` event may lead past the proxy. */
  get #replacesEndpoint(): boolean {
    return this.#upstream?.urls !== undefined && this.#request.target.route?.kind === 'legacy-stream'
  }

  onDrain(): void {
    this.#upload?.resume()
  }

  /** Written past Node, which can send only some of them. They are advice: a client that reads slowly misses them. */
  onInformation({ status, reason, fields }: ResponseHead): void {
    const { socket } = this.#res
    if (this.#over || socket === null || socket.writableNeedDrain || this.#req.httpVersionMinor === 0) return
    socket.write(
      `HTTP/1.1 ${status} ${reason}\r\n${fieldLines(without(responseHeaders(fields, false), bodyLength))}\r\n`,
      'latin1'
    )
  }

  onHead({ status, reason, fields, headers }: ResponseHead): void {
    if (this.#over) return
    const res = this.#res
    const hasBody = this.#req.method !== 'HEAD' && status !== 204 && status !== 304
    const chunked = hasBody && headers['content-length'] === undefined && this.#req.httpVersionMinor > 0
    const { traffic, operations, clients, accounting, failures, balancer } = this.#options
    this.#status = status
    traffic.responded(this.#req.method ?? '', status, this.#seconds(), this.#namedUpstream)
    failures.cors.note(this.#req, headers)
    if (this.#tap) this.#tap.head(status, headers)
    else accounting.notices.notAccounted(this.#request, status, headers)
    // A legacy session begins with the first event.
    if (this.#counted && this.#request.target.route?.kind !== 'legacy-stream')
      this.#settleOpening(isSuccessful(status))
    this.#outcome?.head(status, headers)
    if (this.#tap?.operation) operations.began(this.#tap.operation)
    if (res.destroyed) return this.abort()
    if (clients.closing) endConnectionAfter(res)
    const returned = responseHeaders(fields, chunked)
    const urls = this.#upstream?.urls
    urls?.replaceIn(returned, this.#request)
    if (this.#replacesEndpoint && isEventStream(headers) && headers['content-length'] === undefined)
      this.#endpointEvent = new EndpointEvent(url => urls!.replace(url, this.#request))
    if (status === 200) this.#readTask = balancer.taskReader(this.#request, this.#upstream!)
    // In a body with a length there is no room for comments, and within a compressed one nothing can be said.
    const sseKeepAliveMs = chunked && isEventStream(headers) ? this.#options.sseKeepAliveMs : 0
    const head = { status, reason, fields: returned, chunked, sseKeepAliveMs }
    this.#response = new ClientResponse(res, head, this.#connection!)
  }

  onData(part: Buffer): void {
    if (this.#over) return
    this.#pass(this.#endpointEvent === undefined ? part : this.#endpointEvent.feed(part))
  }

  /** Passes a part of the body on, as the client is to see it. */
  #pass(part: Buffer): void {
    if (part.length === 0) return
    this.#tap?.chunk(part)
    if (this.#counted) this.#settleOpening(isSuccessful(this.#res.statusCode))
    this.#outcome?.chunk(part)
    this.#readTask?.(part)
    if (this.#isOpening) this.#noteOpened()
    this.#response!.add(part)
  }

  onReadEnd(): void {
    if (!this.#over) this.#response?.flush()
    if (this.#options.clients.closing) this.endReopened()
  }

  onEnd(trailers: string[]): void {
    this.#response?.releaseUpstream()
    this.#upload?.cancel()
    this.#upstream!.pool.release(this.#connection!)
    if (this.#over) return
    if (this.#endpointEvent !== undefined) this.#pass(this.#endpointEvent.end())
    this.#finish(true, true)
    limitLateBody(this.#req)
    this.#response!.end(responseHeaders(trailers, true))
    this.#settle()
  }

  onError(error: unknown): void {
    if (this.#connection?.connected === false) this.#upstream!.failed()
    if (!this.#moves()) this.#fail(error)
  }

  /** A request of which nothing was sent, and that has no session, goes to the next gateway; whether it does. */
  #moves(): boolean {
    const [upstream, { balancer }] = [this.#upstream!, this.#options]
    if (this.#over || this.#connection?.connected !== false || !balancer.mayMove(this.#request)) return false
    this.#refusedBy = (this.#refusedBy ?? new Set<string>()).add(upstream.name)
    const next = balancer.next(this.#request, this.#refusedBy)
    if (next === undefined) return false
    this.#leaveUpstream()
    this.#sendLater(next)
    return true
  }

  #fail(error: unknown): void {
    this.#abandon()
    if (this.#over) return
    this.#finish(true)
    if (this.#res.destroyed) return this.#settle('left')
    if (!this.#res.headersSent) {
      const failure = failureOf(error, this.#request, this.#options.failures, this.#namedUpstream)
      sendFailure(this.#res, failure)
      return this.#settle('failed', failure)
    }
    this.#options.traffic.failed(this.#req.method ?? '', 'broken_off', undefined, this.#namedUpstream)
    this.#response!.breakOff()
    this.#settle('cut')
  }

  /** The gateway that failed, where there are several. */
  get #namedUpstream(): string | undefined {
    return this.#options.balancer.isSole ? undefined : this.#upstream?.name
  }

  #onClientClose(): void {
    if (this.#over) return
    const { clients, traffic } = this.#options
    const isUnanswered = this.#req.complete && !this.#res.headersSent
    // Some clients leave right after their DELETE; its response says whether the session ended.
    const isAccounted = this.#tap !== undefined || this.#upstream === undefined
    if (this.#req.method === 'DELETE' && isAccounted && isUnanswered && !clients.closing)
      return clients.leaveUnattended(this)
    if (!this.#res.headersSent) traffic.abandoned()
    this.abort()
  }

  endReopened(): void {
    if (this.#over || !this.#response?.isBetweenParts || !this.#isStandaloneStream) return
    this.#finish(false)
    this.#abandon()
    // Its connection stays: the client takes it for free, unless the head said otherwise, and may be sending its next request on it.
    this.#response.end([])
    this.#settle()
  }

  /**
   * The GET stream of a session: its client opens it again when it ends (MCP 2025-11-25, Streamable HTTP, "Listening for Messages
   * from the Server"), but not that of the legacy transport, whose session ends with it.
   */
  get #isStandaloneStream(): boolean {
    const isStreamable = this.#request.target.route?.kind === 'streamable'
    return isStreamable && this.#req.method === 'GET' && this.#tap?.streamOf !== undefined
  }

  abort(): void {
    this.#finish(false)
    this.#abandon()
    this.#settle('left')
  }

  #abandon(): void {
    this.#upload?.cancel()
    this.#connection?.destroy()
  }

  #finish(byUpstream: boolean, whole = false): void {
    this.#over = true
    this.#settleOpening(false)
    this.#response?.finish()
    this.#options.clients.finish(this)
    this.#leaveUpstream()
    this.#tap?.end(byUpstream, whole)
    this.#outcome?.end(byUpstream, whole)
    const operation = this.#tap?.operation
    if (operation) this.#options.operations.ended(operation, this.#seconds(), !byUpstream)
  }

  /** All was written that the client gets. `failure`: the response that the proxy made. */
  #settle(error?: AccessError, failure?: FailureResponse): void {
    const outcome = this.#outcome
    const durationMs = this.#sentAt === 0 ? 0 : monotonicNow() - this.#sentAt
    const bytes = outcome?.settle(Math.round(durationMs), failure?.status) ?? takeBytes(this.#req.socket)
    const { writeAccess } = this.#options
    if (writeAccess === undefined) return
    const [upstream, status] = [this.#upstream?.name, failure?.status ?? this.#status]
    const seen = outcome?.error ?? (status !== undefined && status >= 400 ? 'http' : undefined)
    const end = { outcome, upstream, status, error: error ?? seen, bytes, durationMs }
    writeAccess(accessEntry(this.#request, { ...end, requestId: failure?.requestId }))
  }

  /** Since its sending began. */
  #seconds(): number {
    return (monotonicNow() - this.#sentAt) / SECOND_MS
  }
}
