// Owns what is accounted of an exchange: taps that read request and answer on their way and never change or delay them.
import type { IncomingMessage } from 'node:http'
import { unknownClient, type ClientInfo } from '../../mcp/client-info.js'
import { LISTEN_METHOD } from '../../mcp/methods.js'
import { isSessionless } from '../../mcp/revisions.js'
import { SESSION_NOT_FOUND } from '../../mcp/session-not-found.js'
import type { Operation } from '../../metrics/operations.js'
import type { Client } from '../../sessions/observations.js'
import { visitorOf } from '../../sessions/visits.js'
import { isSuccessful } from '../../util/http-status.js'
import { clientOf } from '../http/client-address.js'
import type { ResponseHeaders } from '../http/header-section.js'
import { isEventStream, sessionIdIn, text } from '../http/headers.js'
import { InitializeResponse } from './initialize-response.js'
import { MessageLines } from './message-lines.js'
import { callOf, RequestBody } from './request-body.js'
import type { StreamSession, Tap, Accounting } from './tap.js'

const sessionNotFound = Buffer.from(SESSION_NOT_FOUND)

export class StreamableTap implements Tap {
  readonly #endpointId: string
  readonly #req: IncomingMessage
  readonly #target: string
  readonly #accounting: Accounting
  readonly #sessionId: string | undefined
  /** When it was sent to the upstream, in epoch ms; undefined once it is answered. */
  #sentAt: number | undefined = Date.now()
  /** Of a POST, until it is answered. */
  #body: RequestBody | undefined
  /** Of an accepted request without a session. */
  #visitor: string | undefined
  /** Set once the answer carries messages of the server. */
  #stream: MessageLines | undefined
  #isListening = false
  operation: Operation | undefined
  /** Set while only the body can tell which kind of 401 this is. */
  #undecided: { emit: (notFound: boolean) => void; matched: number } | undefined
  /** Set from an answer that opened a session until what it says of that is read. */
  #opening: { sessionId: string; clientInfo: ClientInfo; answer: InitializeResponse } | undefined

  constructor(endpointId: string, req: IncomingMessage, target: string, accounting: Accounting) {
    this.#endpointId = endpointId
    this.#req = req
    this.#target = target
    this.#accounting = accounting
    this.#sessionId = sessionIdIn(req)
    if (req.method === 'POST') this.#body = new RequestBody(this.#sessionId === undefined)
  }

  requestBody(chunk: Buffer): void {
    this.#body?.add(chunk)
  }

  get streamOf(): StreamSession | undefined {
    const [endpointId, sessionId] = [this.#endpointId, this.#sessionId]
    return this.#stream && sessionId !== undefined ? { endpointId, sessionId } : undefined
  }

  head(status: number, headers: ResponseHeaders): void {
    const request = this.#req.headers
    const [sessionId, body] = [this.#sessionId, this.#body]
    const issuedSessionId = text(headers['mcp-session-id'])
    const protocolVersion = text(request['mcp-protocol-version'])
    const { rpcMethod, rpcName } = callOf(this.#req, body)
    const client = this.#client()
    const mayVisit = body !== undefined && sessionId === undefined && issuedSessionId === undefined
    const visitor = mayVisit ? visitorOf(this.#endpointId, client, request.authorization) : undefined
    const at = Date.now()
    const emit = (notFound: boolean): void =>
      this.#accounting.observe({
        kind: 'streamable',
        endpointId: this.#endpointId,
        method: this.#req.method ?? '',
        status,
        sessionId,
        issuedSessionId,
        protocolVersion,
        sessionNotFound: notFound,
        client,
        visitor,
        body,
        rpcMethod,
        rpcName,
        at
      })
    if (rpcMethod !== undefined)
      this.operation = { method: rpcMethod, name: rpcName, protocolVersion, status }
    if (isSuccessful(status)) {
      if (isEventStream(headers)) this.#stream = new MessageLines()
      this.#visitor = visitor
      this.#isListening = rpcMethod === LISTEN_METHOD
      if (sessionId === undefined && issuedSessionId !== undefined)
        this.#opening = {
          sessionId: issuedSessionId,
          clientInfo: body?.clientInfo() ?? unknownClient,
          answer: new InitializeResponse(this.#stream !== undefined)
        }
      this.#noteCaller(issuedSessionId ?? sessionId, protocolVersion)
    }
    this.#sentAt = undefined
    this.#body = undefined
    if (status === 401 && sessionId !== undefined && mayBeNotFound(headers)) {
      this.#undecided = { emit, matched: 0 }
    } else {
      emit(false)
    }
  }

  chunk(chunk: Buffer): void {
    if (this.#stream?.feed(chunk)) this.#tell('server-message')
    if (this.#opening?.answer.feed(chunk)) this.#identify()
    if (this.#undecided === undefined) return
    const { matched } = this.#undecided
    if (chunk.equals(sessionNotFound.subarray(matched, matched + chunk.length)))
      this.#undecided.matched += chunk.length
    else this.#decide(false)
  }

  end(byUpstream: boolean, whole: boolean): void {
    this.#decide(whole && this.#undecided?.matched === sessionNotFound.length)
    this.#identify()
    if (!byUpstream) this.#leaveUnanswered()
    else if (this.#req.method === 'GET' && this.#isKnownCaller()) this.#tell('upstream-ended')
    if (this.#isListening && this.#visitor !== undefined)
      this.#accounting.observe({ kind: 'listen-ended', visitor: this.#visitor, at: Date.now() })
  }

  #leaveUnanswered(): void {
    const [endpointId, sessionId, at] = [this.#endpointId, this.#sessionId, this.#sentAt]
    if (at === undefined || sessionId === undefined || !this.#req.complete || this.#req.method === 'DELETE')
      return
    this.#accounting.observe({ kind: 'unanswered', endpointId, sessionId, client: this.#client(), at })
  }

  /** After a DELETE there is nobody left to ask for. */
  #isKnownCaller(): boolean {
    const { callers } = this.#accounting
    return this.#sessionId !== undefined && callers.of(this.#endpointId, this.#sessionId) !== undefined
  }

  /** Tells news of the stream, if this is one. */
  #tell(kind: 'server-message' | 'upstream-ended'): void {
    if (!this.#stream) return
    const [endpointId, sessionId, visitor, at] = [
      this.#endpointId,
      this.#sessionId,
      this.#visitor,
      Date.now()
    ]
    const { observe, callers } = this.#accounting
    if (sessionId !== undefined) {
      // A POST was noted with the head of its answer, just now.
      if (this.#req.method === 'GET') callers.keep(endpointId, sessionId)
      observe({ kind, endpointId, sessionId, client: this.#client(), at })
    } else if (visitor !== undefined) observe({ kind: 'visit-message', visitor, at })
  }

  #noteCaller(sessionId: string | undefined, protocolVersion: string | undefined): void {
    if (sessionId === undefined || isSessionless(protocolVersion)) return
    const { method, headers } = this.#req
    const { callers } = this.#accounting
    if (method === 'DELETE') return callers.forget(this.#endpointId, sessionId)
    callers.note(this.#endpointId, {
      target: this.#target,
      host: headers.host,
      sessionId,
      protocolVersion,
      authorization: headers.authorization
    })
  }

  #decide(notFound: boolean): void {
    const undecided = this.#undecided
    this.#undecided = undefined
    undecided?.emit(notFound)
  }

  #identify(): void {
    if (this.#opening === undefined) return
    const { sessionId, clientInfo, answer } = this.#opening
    this.#opening = undefined
    this.#accounting.observe({
      kind: 'identity',
      endpointId: this.#endpointId,
      sessionId,
      clientInfo: { ...clientInfo, protocolVersion: answer.revision }
    })
  }

  #client(): Client {
    return clientOf(this.#req, this.#accounting)
  }
}

/** Whether its body may tell that the session of a 401 is gone. */
const mayBeNotFound = (headers: ResponseHeaders): boolean =>
  headers['www-authenticate'] === undefined &&
  Number(headers['content-length'] ?? sessionNotFound.length) === sessionNotFound.length
