// Owns what is accounted of the legacy HTTP+SSE transport: its streams, and the messages posted for them.
import { unknownClient } from '../../mcp/client-info.js'
import type { AnnouncedSession } from '../../mcp/message-uris.js'
import type { Route } from '../../mcp/routes.js'
import { mayBeSessionError, type SessionError } from '../../mcp/session-not-found.js'
import type { StoredId, WireId } from '../../mcp/stored-ids.js'
import { Transport } from '../../mcp/transports.js'
import type { Operation } from '../../metrics/operations.js'
import type { Requester } from '../../sessions/observations.js'
import { isSuccessful } from '../../util/http-status.js'
import { epochNow } from '../../util/time.js'
import type { ResponseHeaders } from '../http/header-section.js'
import { isEventStreamType, text } from '../http/headers.js'
import type { RoutedRequest } from '../http/routed-request.js'
import { DecodedStart } from './decoded-start.js'
import { endpointEvent, initializeResult } from './first-event.js'
import { type Asked, askedOf, RequestBody, type SentMessage } from './request-body.js'
import { SessionErrorReader } from './session-error-reader.js'
import type { Accounting, StreamSession, Tap, TappedUpstream } from './tap.js'

/** Reads a message that a client posts for its legacy stream. */
export class MessageTap implements Tap {
  readonly streamOf = undefined
  readonly #route: Route & { kind: 'message' }
  readonly #request: RoutedRequest
  readonly #accounting: Accounting
  readonly #upstream: string
  readonly #body = new RequestBody()
  /** Set while only the body can show whether the response means that the session is gone. */
  #undecided: SessionErrorReader | undefined
  operation: Operation | undefined
  #asked: Asked | undefined

  constructor(
    route: Route & { kind: 'message' },
    request: RoutedRequest,
    accounting: Accounting,
    { name }: Pick<TappedUpstream, 'name'>
  ) {
    this.#route = route
    this.#request = request
    this.#accounting = accounting
    this.#upstream = name
  }

  requestBody(chunk: Buffer): void {
    this.#body.add(chunk)
  }

  get asked(): Asked {
    return (this.#asked ??= askedOf(this.#request.req, this.#body))
  }

  get sent(): SentMessage | undefined {
    return this.#accounting.isTraced ? this.#body.sentMessage() : undefined
  }

  get requester(): Requester {
    const { endpointId, sessionId } = this.#route
    return { transport: Transport.sse, endpointId, sessionId }
  }

  head(status: number, headers: ResponseHeaders): void {
    const { endpointId, sessionId } = this.#route
    const { req, client } = this.#request
    const { observe, conversations } = this.#accounting
    const principal = isSuccessful(status) ? this.#request.principal : undefined
    const conversation = (): StoredId | undefined => conversations.of(req, this.#body)
    const { rpcMethod, rpcName, isFurtherRound } = this.asked
    const protocolVersion = text(req.headers['mcp-protocol-version'])
    const at = epochNow()
    const emit = (error?: SessionError): void => {
      const sessionNotFound = error === 'session-not-found'
      const methodNotFound = error === 'method-not-found'
      const says = { upstream: this.#upstream, status, sessionNotFound, methodNotFound }
      const asks = { client, principal, conversation, rpcMethod, rpcName }
      observe({ kind: 'message', endpointId, sessionId, ...says, ...asks, at })
    }
    if (isSuccessful(status) || !mayBeSessionError(status, headers)) emit()
    else this.#undecided = new SessionErrorReader(status, headers, emit)
    if (rpcMethod !== undefined && !isFurtherRound)
      this.operation = { method: rpcMethod, name: rpcName, protocolVersion, status }
    if (isSuccessful(status) && this.#body.mayNameClient)
      observe({ kind: 'identity', endpointId, sessionId, clientInfo: this.#body.clientInfo() })
  }

  notePresence(): boolean {
    // Its session lives as long as its stream.
    return false
  }

  chunk(chunk: Buffer): void {
    this.#undecided?.chunk(chunk)
  }

  end(_byUpstream: boolean, whole: boolean): void {
    this.#undecided?.end(whole)
  }
}

/** Reads a legacy stream: its first event says where messages are posted. The session ends with the stream. */
export class LegacyStreamTap implements Tap {
  readonly operation = undefined
  readonly asked = undefined
  readonly sent = undefined
  readonly #endpointId: WireId
  readonly #request: RoutedRequest
  readonly #accounting: Accounting
  readonly #upstream: TappedUpstream
  /** Set for a compressed stream. */
  #decoder: DecodedStart | undefined
  /** Set until the session is known. */
  #opening: ReturnType<typeof endpointEvent> | undefined
  /** Set until the negotiated revision is known. */
  #result: ReturnType<typeof initializeResult> | undefined
  #session: AnnouncedSession | undefined
  readonly #isExpected: boolean

  /** `isExpected`: false where the stream may be another one. */
  constructor(
    endpointId: WireId,
    request: RoutedRequest,
    accounting: Accounting,
    upstream: TappedUpstream,
    isExpected = true
  ) {
    this.#isExpected = isExpected
    this.#endpointId = endpointId
    this.#request = request
    this.#accounting = accounting
    this.#upstream = upstream
  }

  requestBody(): void {
    // A GET has none.
  }

  get streamOf(): StreamSession | undefined {
    return this.#session
  }

  get requester(): Requester | undefined {
    if (this.#session === undefined) return undefined
    const { endpointId, sessionId } = this.#session
    return { transport: Transport.sse, endpointId, sessionId }
  }

  head(status: number, headers: ResponseHeaders): void {
    if (!isSuccessful(status) || !isEventStreamType(headers)) return
    const coding = (text(headers['content-encoding']) ?? 'identity').toLowerCase()
    if (coding !== 'identity') {
      this.#decoder = DecodedStart.of(coding)
      if (this.#decoder === undefined) return this.#unreadable(`its content coding ${coding} is not known`)
    }
    this.#opening = endpointEvent()
  }

  chunk(chunk: Buffer): void {
    if (this.#opening === undefined && this.#result === undefined) return
    const plain = this.#decoder === undefined ? chunk : this.#decoder.feed(chunk)
    if (plain === undefined) this.#giveUp('its content coding cannot be read')
    else if (this.#opening !== undefined) this.#awaitSession(this.#opening, plain)
    else if (this.#result !== undefined) this.#awaitResult(this.#result, plain)
  }

  notePresence(): boolean {
    // The tracker holds its session until the stream ends.
    return false
  }

  end(): void {
    if (this.#session === undefined) return
    this.#accounting.messageUris.withdraw(this.#session)
    this.#emit('legacy-ended', this.#session)
  }

  #awaitSession(opening: ReturnType<typeof endpointEvent>, chunk: Buffer): void {
    opening.feed(chunk)
    if (!opening.done) return
    if (opening.value === undefined) return this.#giveUp('it begins without an endpoint event')
    const { client, target } = this.#request
    const { basePath } = this.#upstream
    const stream = { endpointId: this.#endpointId, target: target.path, basePath, client }
    this.#session = this.#accounting.messageUris.announce(opening.value, stream)
    this.#opening = undefined
    this.#result = initializeResult()
    this.#emit('legacy-opened', this.#session)
  }

  /** Reads no more of it. */
  #giveUp(reason: string): void {
    if (this.#opening !== undefined) this.#unreadable(reason)
    this.#opening = this.#result = this.#decoder = undefined
  }

  #unreadable(reason: string): void {
    if (this.#isExpected) this.#accounting.unreadable(reason)
  }

  #awaitResult(result: ReturnType<typeof initializeResult>, chunk: Buffer): void {
    result.feed(chunk)
    if (!result.done) return
    this.#result = this.#decoder = undefined
    if (result.value === undefined) return
    const { endpointId, sessionId } = this.#session!
    const clientInfo = { ...unknownClient, protocolVersion: result.value }
    this.#accounting.observe({ kind: 'identity', endpointId, sessionId, clientInfo })
  }

  #emit(kind: 'legacy-opened' | 'legacy-ended', { endpointId, sessionId }: AnnouncedSession): void {
    const { req, client, principal } = this.#request
    const conversation = (): StoredId | undefined => this.#accounting.conversations.of(req, undefined)
    const says = { upstream: this.#upstream.name, client, principal, conversation }
    this.#accounting.observe({ kind, endpointId, sessionId, ...says, at: epochNow() })
  }
}
