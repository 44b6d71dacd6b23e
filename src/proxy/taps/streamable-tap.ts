// Owns what is accounted of the Streamable HTTP transport: of each request of a session or of a session-less client, and of
// the events that its response carries.
import type { IncomingMessage } from 'node:http'
import { unknownClient, type ClientInfo } from '../../mcp/client-info.js'
import { LISTEN_METHOD } from '../../mcp/methods.js'
import { isSessionless } from '../../mcp/revisions.js'
import { mayBeSessionError, type SessionError } from '../../mcp/session-not-found.js'
import type { StoredId, WireId } from '../../mcp/stored-ids.js'
import { Transport } from '../../mcp/transports.js'
import type { Operation } from '../../metrics/operations.js'
import type { Requester } from '../../sessions/observations.js'
import { isSessionRequest } from '../../sessions/signals.js'
import { isSuccessful } from '../../util/http-status.js'
import { type EpochMs, epochNow } from '../../util/time.js'
import type { ResponseHeaders } from '../http/header-section.js'
import { asksForStream, isEventStream, issuedSessionIdIn, sessionIdIn, text } from '../http/headers.js'
import type { RoutedRequest } from '../http/routed-request.js'
import { InitializeResponse } from './initialize-response.js'
import { LegacyStreamTap } from './legacy-taps.js'
import { MessageLines } from './message-lines.js'
import { type Asked, askedOf, RequestBody, type SentMessage } from './request-body.js'
import { errorInFirstMessage, SessionErrorReader } from './session-error-reader.js'
import type { Accounting, StreamSession, Tap, TappedUpstream } from './tap.js'

/** `{`: every JSON-RPC message begins so, or has it near its start. */
const BRACE = 0x7b

/**
 * At the end of an exchange that was not seen in use for so long its presence is noted once more. Chosen: far below any idle
 * timeout, and above what most exchanges take.
 */
const LASTED_MS = 100

/** Reads one request to `/stream/{endpoint_id}`, with any method, and its response. */
export class StreamableTap implements Tap {
  readonly #endpointId: WireId
  readonly #request: RoutedRequest
  readonly #req: IncomingMessage
  readonly #accounting: Accounting
  readonly #upstream: TappedUpstream
  /** That the request names; from the head of the response on, that it issued in place of it. */
  #sessionId: WireId | undefined
  /** The one that the exchange keeps present: the response may have issued it. */
  #presentSessionId: WireId | undefined
  /** When the request was sent upstream; undefined once its response began. */
  #sentAt: EpochMs | undefined = epochNow()
  /** Set once the upstream refused the request: then it keeps nobody present. */
  #isRefused = false
  /** When this exchange was last seen to be in use; it begins with its sending. */
  #seenAt: EpochMs = this.#sentAt!
  /** Of a POST, until its response begins. */
  #body: RequestBody | undefined
  /** Who sent an accepted request without a session. */
  #visitor: string | undefined
  /** Who sent a request without a session, accepted or not, once its response began. */
  #sender: string | undefined
  /** Set once the response is known to be an event stream. */
  #stream: MessageLines | undefined
  /** Its messages are those of a session or visit: the request is one that MCP sends there. */
  #hasMessages = false
  /** It is the listen stream of a session-less client. */
  #isListening = false
  operation: Operation | undefined
  #asked: Asked | undefined
  #sent: SentMessage | undefined
  /** Set while only the body can show whether the response means that the session is gone. */
  #undecided: SessionErrorReader | undefined
  /** Set for a stream that nobody asked for in a session: it may be that of a legacy one, at a path of both transports. */
  #legacy: LegacyStreamTap | undefined
  /** Set until the first message of an event stream is read, which may say that. */
  #awaitMessage: ((chunk: Buffer) => void) | undefined
  /** Reports the request as accepted, unless the stream began with that message. */
  #accept: (() => void) | undefined
  /** Set from the head of a response that opened a session until the negotiated revision is read. */
  #opening: { sessionId: WireId; clientInfo: ClientInfo; response: InitializeResponse } | undefined

  constructor(endpointId: WireId, request: RoutedRequest, accounting: Accounting, upstream: TappedUpstream) {
    const { req } = request
    this.#endpointId = endpointId
    this.#request = request
    this.#req = req
    this.#accounting = accounting
    this.#upstream = upstream
    this.#sessionId = sessionIdIn(req)
    this.#presentSessionId = this.#sessionId
    if (req.method === 'POST') this.#body = new RequestBody()
  }

  requestBody(chunk: Buffer): void {
    this.#body?.add(chunk)
  }

  get streamOf(): StreamSession | undefined {
    if (this.#legacy) return this.#legacy.streamOf
    const [endpointId, sessionId] = [this.#endpointId, this.#sessionId]
    return this.#stream && sessionId !== undefined ? { endpointId, sessionId } : undefined
  }

  get asked(): Asked {
    return (this.#asked ??= askedOf(this.#req, this.#body))
  }

  get sent(): SentMessage | undefined {
    return this.#accounting.isTraced ? (this.#sent ??= this.#body?.sentMessage()) : undefined
  }

  get requester(): Requester | undefined {
    const [endpointId, sessionId] = [this.#endpointId, this.#presentSessionId]
    if (sessionId !== undefined) return { transport: Transport.streamable, endpointId, sessionId }
    if (this.#legacy) return this.#legacy.requester
    const visitor = this.#sender ?? (this.#mayVisit() ? this.#readVisitor('refused') : undefined)
    return visitor === undefined ? undefined : { transport: Transport.sessionless, endpointId, visitor }
  }

  head(status: number, headers: ResponseHeaders): void {
    const request = this.#req.headers
    const [sessionId, body] = [this.#sessionId, this.#body]
    const issuedSessionId = this.#issuedSessionId(headers)
    const protocolVersion = text(request['mcp-protocol-version'])
    const { rpcMethod, rpcName, isFurtherRound } = this.asked
    const { client } = this.#request
    this.#presentSessionId = issuedSessionId ?? sessionId
    this.#isRefused = !isSuccessful(status)
    if (this.#mayVisit()) this.#sender = this.#readVisitor(this.#isRefused ? 'refused' : 'accepted')
    const visitor = this.#isRefused ? undefined : this.#sender
    const principal = isSuccessful(status) ? this.#request.principal : undefined
    const conversation = (): StoredId | undefined => this.#accounting.conversations.of(this.#req, body)
    const at = epochNow()
    this.#seenAt = at
    const method = this.#req.method ?? ''
    const acceptsStream = asksForStream(this.#req)
    const isOfSession = sessionId !== undefined && isSessionRequest({ method, acceptsStream })
    const emit = (error?: SessionError): void => {
      // In doubt the proxy asks, as the client does.
      const isDoubtful = status === 404 && isOfSession && error === undefined
      if (isDoubtful && !this.#hasCredentials()) this.#noteCredentials(sessionId, protocolVersion)
      this.#accounting.observe({
        kind: 'streamable',
        endpointId: this.#endpointId,
        upstream: this.#upstream.name,
        method,
        acceptsStream,
        status,
        sessionId,
        issuedSessionId,
        protocolVersion,
        sessionNotFound: error === 'session-not-found',
        methodNotFound: error === 'method-not-found',
        client,
        principal,
        conversation,
        visitor,
        body,
        rpcMethod,
        rpcName,
        at
      })
    }
    if (rpcMethod !== undefined && !isFurtherRound)
      this.operation = { method: rpcMethod, name: rpcName, protocolVersion, status }
    if (isSuccessful(status)) {
      if (isEventStream(headers)) this.#stream = new MessageLines()
      this.#hasMessages =
        method === 'POST' ? visitor !== undefined || !isSessionless(protocolVersion) : method === 'GET'
      this.#visitor = visitor
      this.#isListening = rpcMethod === LISTEN_METHOD
      const openedId = issuedSessionId ?? sessionId
      // An id in an `initialize` request is one that the server may have forgotten, or that it keeps.
      if (openedId !== undefined && (sessionId === undefined || rpcMethod === 'initialize'))
        this.#opening = {
          sessionId: openedId,
          clientInfo: body?.clientInfo() ?? unknownClient,
          response: new InitializeResponse(this.#stream !== undefined)
        }
      this.#noteCredentials(openedId, protocolVersion)
      if (sessionId !== undefined) this.#sessionId = openedId
    }
    this.#sentAt = undefined
    this.#sent = this.sent
    this.#body = undefined
    if (method === 'GET' && this.#presentSessionId === undefined) {
      this.#legacy = new LegacyStreamTap(
        this.#endpointId,
        this.#request,
        this.#accounting,
        this.#upstream,
        false
      )
      this.#legacy.head(status, headers)
    }
    const isNew = issuedSessionId !== undefined && issuedSessionId !== sessionId
    const isAccepted = isSuccessful(status) && (isNew || method !== 'POST')
    if (isOfSession && !isAccepted && this.#stream) {
      this.#accept = emit
      this.#awaitMessage = chunk => {
        if (errorInFirstMessage(status, chunk) !== 'session-not-found') return
        this.#accept = undefined
        this.#isRefused = true
        this.#hasMessages = false
        emit('session-not-found')
      }
    } else if (!isOfSession || isAccepted || !mayBeSessionError(status, headers)) emit()
    else this.#undecided = new SessionErrorReader(status, headers, emit)
  }

  /** `mcp-session-id` of the response. If it is there twice, the values are joined; the first one counts. */
  #issuedSessionId(headers: ResponseHeaders): WireId | undefined {
    const joined = issuedSessionIdIn(headers)
    if (!joined?.includes(', ')) return joined
    this.#accounting.notices.twoSessionIds(this.#request)
    return joined.slice(0, joined.indexOf(', ')) || undefined
  }

  chunk(chunk: Buffer): void {
    this.#legacy?.chunk(chunk)
    const isMessage = this.#stream?.feed(chunk)
    if (this.#awaitMessage && chunk.includes(BRACE)) {
      this.#awaitMessage(chunk)
      this.#awaitMessage = undefined
    }
    this.#reportAccepted()
    if (isMessage && this.#hasMessages) this.#report('server-message')
    if (this.#opening?.response.feed(chunk)) this.#identify()
    this.#undecided?.chunk(chunk)
  }

  #reportAccepted(): void {
    this.#accept?.()
    this.#accept = undefined
  }

  notePresence(at: EpochMs, withinMs: number): boolean {
    // If the clock was put back, presence is reported all the same.
    if (this.#isRefused || Math.abs(at - this.#seenAt) < withinMs) return false
    const { method } = this.#req
    const { observe, credentials, streamIsUse } = this.#accounting
    if (method !== 'POST' && !(method === 'GET' && streamIsUse)) return false
    this.#reportAccepted()
    this.#seenAt = at
    const [endpointId, sessionId] = [this.#endpointId, this.#presentSessionId]
    if (sessionId !== undefined) {
      credentials.keep(endpointId, sessionId)
      observe({ kind: 'present', endpointId, sessionId, client: this.#request.client, at })
      return true
    }
    const visitor = this.#visitor ?? (this.#mayVisit() ? this.#readVisitor('accepted') : undefined)
    if (visitor !== undefined) observe({ kind: 'visit-message', visitor, at })
    return visitor !== undefined
  }

  end(byUpstream: boolean, whole: boolean): void {
    this.#legacy?.end()
    this.#reportAccepted()
    // A client without a session that got no response was never there.
    if (this.#sentAt === undefined || this.#presentSessionId !== undefined)
      this.notePresence(epochNow(), LASTED_MS)
    this.#undecided?.end(whole)
    this.#identify()
    if (!byUpstream) this.#reportUnanswered()
    else if (this.#req.method === 'GET' && this.#hasCredentials()) this.#report('upstream-ended')
    if (this.#isListening && this.#visitor !== undefined)
      this.#accounting.observe({ kind: 'listen-ended', visitor: this.#visitor, at: epochNow() })
  }

  /** Whether it is, until its response began, a request of a client that has no session. */
  #mayVisit(): boolean {
    if (this.#body === undefined || this.#presentSessionId !== undefined) return false
    const { headers } = this.#req
    const saysRevision = headers['mcp-protocol-version'] !== undefined || headers['mcp-method'] !== undefined
    return saysRevision || !this.#body.isForeign
  }

  #readVisitor(as: 'accepted' | 'refused'): string {
    const { client, principal } = this.#request
    const credential = principal ?? this.#req.headers.authorization
    const clientInfo = this.#body!.metaClientInfo()
    const { visitors } = this.#accounting
    return visitors.of(this.#endpointId, client, credential, clientInfo, as === 'accepted')
  }

  /** The client left before the response to a whole request. */
  #reportUnanswered(): void {
    const [endpointId, sessionId, at] = [this.#endpointId, this.#sessionId, this.#sentAt]
    if (at === undefined || sessionId === undefined || !this.#req.complete || this.#req.method === 'DELETE')
      return
    const { client } = this.#request
    this.#accounting.observe({ kind: 'unanswered', endpointId, sessionId, client, at })
  }

  /** Whether the proxy can ask for the session by itself; no longer after its DELETE. */
  #hasCredentials(): boolean {
    const { credentials } = this.#accounting
    return this.#sessionId !== undefined && credentials.of(this.#endpointId, this.#sessionId) !== undefined
  }

  /** Reports what happened on the stream, if the response is one. */
  #report(kind: 'server-message' | 'upstream-ended'): void {
    if (!this.#stream) return
    const [endpointId, sessionId, visitor] = [this.#endpointId, this.#sessionId, this.#visitor]
    const { observe, credentials } = this.#accounting
    const at = epochNow()
    this.#seenAt = at
    if (sessionId !== undefined) {
      // Those of a POST were noted with the head of its response, just now.
      if (this.#req.method === 'GET') credentials.keep(endpointId, sessionId)
      observe({ kind, endpointId, sessionId, client: this.#request.client, at })
    } else if (visitor !== undefined) observe({ kind: 'visit-message', visitor, at })
  }

  #noteCredentials(sessionId: WireId | undefined, protocolVersion: string | undefined): void {
    if (sessionId === undefined || isSessionless(protocolVersion)) return
    const { method, headers } = this.#req
    const { credentials } = this.#accounting
    if (method === 'DELETE') return credentials.forget(this.#endpointId, sessionId)
    credentials.note(this.#endpointId, {
      target: this.#request.target.path,
      host: headers.host,
      sessionId,
      protocolVersion,
      authorization: headers.authorization,
      identity: this.#request.identity
    })
  }

  #identify(): void {
    if (this.#opening === undefined) return
    const { sessionId, clientInfo, response } = this.#opening
    const { revision } = response
    this.#opening = undefined
    if (this.#sent) this.#sent.protocolVersion = revision ?? undefined
    this.#accounting.observe({
      kind: 'identity',
      endpointId: this.#endpointId,
      sessionId,
      clientInfo: { ...clientInfo, protocolVersion: revision }
    })
  }
}
