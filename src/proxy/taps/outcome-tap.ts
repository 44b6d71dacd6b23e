// Owns what is accounted of the outcome of an exchange, beside its session's life: bytes, calls of tools, errors, and responses
// that could not be read.
import { LISTEN_METHOD } from '../../mcp/methods.js'
import { Transport } from '../../mcp/transports.js'
import type { Operations } from '../../metrics/operations.js'
import type { Observe, Requester } from '../../sessions/observations.js'
import type { Outcome } from '../../sessions/outcomes.js'
import type { ToolCall } from '../../sessions/tool-uses.js'
import { type EpochMs, epochNow } from '../../util/time.js'
import { type PassedBytes, takeBytes } from '../http/connection-bytes.js'
import type { ResponseHeaders } from '../http/header-section.js'
import type { RoutedRequest } from '../http/routed-request.js'
import type { Asked, SentMessage } from './request-body.js'
import { type ResponseOutcome, responseOutcome } from './response-outcome.js'
import type { Tap } from './tap.js'

const FIRST_ERROR_STATUS = 400

/** Reads one exchange beside its `Tap`, and reports what came of it: at its end, and of one that lasts meanwhile. */
export class OutcomeTap {
  readonly #tap: Tap
  readonly #request: RoutedRequest
  readonly #observe: Observe
  readonly #operations: Pick<Operations, 'outcome'>
  readonly #method: string
  /** Of the response; 0 until its head came. */
  #status = 0
  #body: ResponseOutcome | undefined
  /** Errors and parts that were not read, of those that are told already. */
  #told = { errors: 0, unread: 0 }
  /** When it was last told; an exchange begins with its sending. */
  #toldAt: EpochMs = epochNow()
  /** Bytes that were told while it lasted. */
  readonly #toldBytes: PassedBytes = { received: 0, sent: 0 }
  #errors = 0
  #unread = 0

  constructor(
    tap: Tap,
    request: RoutedRequest,
    { observe, operations }: { observe: Observe; operations: Pick<Operations, 'outcome'> }
  ) {
    this.#tap = tap
    this.#request = request
    this.#observe = observe
    this.#operations = operations
    this.#method = request.req.method ?? ''
  }

  /** What the request asks for, and whose it is. */
  get asked(): Asked | undefined {
    return this.#tap.asked
  }

  get requester(): Requester | undefined {
    return this.#tap.requester
  }

  get sent(): SentMessage | undefined {
    return this.#tap.sent
  }

  /** The first failure that the body of the response told (`ResponseOutcome`). */
  get failure(): string | undefined {
    return this.#body?.failure
  }

  /** What its end said of it; undefined where it went well. */
  get error(): 'http' | 'result' | 'unread' | undefined {
    if (this.#status >= FIRST_ERROR_STATUS) return 'http'
    if (this.#errors + this.#told.errors > 0) return 'result'
    return this.#unread + this.#told.unread > 0 ? 'unread' : undefined
  }

  /** The final head of the response came. */
  head(status: number, headers: ResponseHeaders): void {
    this.#status = status
    const isMessage = this.#tap.requester?.transport === Transport.sse
    this.#body = responseOutcome(this.#method, status, headers, isMessage)
  }

  /** A part of the response's body came. */
  chunk(chunk: Buffer): void {
    const body = this.#body
    if (body === undefined) return
    body.chunk(chunk)
    // A stream that lasts carries the responses to many requests.
    if (this.#method === 'GET' && body.errors + body.unread > this.#told.errors + this.#told.unread)
      this.#tellOfStream(body)
  }

  /** The response is over. The parameters are those of `Tap.end`. */
  end(byUpstream: boolean, whole: boolean): void {
    const body = this.#body
    body?.end(whole)
    const isOpen = this.#method === 'POST' && body?.isAnswered !== true
    // Where there is no body to read, a response is over with its head.
    const isCut = isOpen && !whole && (body !== undefined || this.#status === 0)
    const isError = this.#status >= FIRST_ERROR_STATUS || (isCut && byUpstream)
    const isUnknown = isCut && !byUpstream && this.#expectsResult
    this.#errors = Math.max((body?.errors ?? 0) - this.#told.errors, Number(isError))
    this.#unread = isError ? 0 : Math.max((body?.unread ?? 0) - this.#told.unread, Number(isUnknown))
  }

  /**
   * All that there is of the response was written to the client, `durationMs` after the request was sent. `failedAs`: the status
   * of a response that the proxy made.
   */
  settle(durationMs: number, failedAs?: number): PassedBytes {
    const { received, sent } = takeBytes(this.#request.req.socket)
    if (failedAs !== undefined) this.#errors = 1
    const { tools = [], isFurtherRound = false, rpcName } = this.#tap.asked ?? {}
    const [errors, unread] = [this.#errors, this.#unread]
    const told: ToolCall[] = tools.map((name, i) => ({
      name,
      calls: 1,
      errors: i < errors ? 1 : 0,
      durationMs
    }))
    if (isFurtherRound) told.push({ name: rpcName, calls: 0, errors: errors > 0 ? 1 : 0, durationMs })
    this.#report({ bytesIn: received, bytesOut: sent, calls: tools.length, errors, unread }, told)
    return { received: received + this.#toldBytes.received, sent: sent + this.#toldBytes.sent }
  }

  /**
   * The exchange is still under way at `at`: reports the bytes so far, unless that was done within `withinMs`; whether it
   * reported any.
   */
  noteBytes(at: EpochMs, withinMs: number): boolean {
    // If the clock was put back, they are reported all the same.
    if (Math.abs(at - this.#toldAt) < withinMs || this.#tap.requester === undefined) return false
    this.#toldAt = at
    const { received, sent } = takeBytes(this.#request.req.socket)
    if (received + sent === 0) return false
    this.#toldBytes.received += received
    this.#toldBytes.sent += sent
    this.#report({ bytesIn: received, bytesOut: sent, calls: 0, errors: 0, unread: 0 })
    return true
  }

  #tellOfStream({ errors, unread }: ResponseOutcome): void {
    const news = { errors: errors - this.#told.errors, unread: unread - this.#told.unread }
    this.#told = { errors, unread }
    this.#report({ bytesIn: 0, bytesOut: 0, calls: 0, ...news })
  }

  /** A notification and a listen stream have no result. */
  get #expectsResult(): boolean {
    const { rpcMethod = 'notifications/', tools = [] } = this.#tap.asked ?? {}
    return tools.length > 0 || (!rpcMethod.startsWith('notifications/') && rpcMethod !== LISTEN_METHOD)
  }

  #report(outcome: Outcome, calls: readonly ToolCall[] = []): void {
    const { requester } = this.#tap
    if (requester === undefined) return
    this.#operations.outcome(outcome, calls)
    const { client } = this.#request
    this.#observe({ kind: 'outcome', ...requester, client, outcome, calls, at: epochNow() })
  }
}
