// Owns what is accounted of the legacy HTTP+SSE transport: its streams, and the messages posted for them.
import { unknownClient } from '../../mcp/client-info.js'
import type { Route } from '../../mcp/routes.js'
import type { WireId } from '../../mcp/stored-ids.js'
import type { Operation } from '../../metrics/operations.js'
import type { Client, Observe } from '../../sessions/observations.js'
import { isSuccessful } from '../../util/http-status.js'
import { epochNow } from '../../util/time.js'
import type { ResponseHeaders } from '../http/header-section.js'
import { isEventStream, text } from '../http/headers.js'
import type { RoutedRequest } from '../http/routed-request.js'
import { endpointEvent, initializeResult } from './first-event.js'
import { callOf, RequestBody } from './request-body.js'
import type { Accounting, StreamSession, Tap } from './tap.js'

/** Reads a message that a client posts for its legacy stream. */
export class MessageTap implements Tap {
  readonly streamOf = undefined
  readonly #route: Route & { kind: 'message' }
  readonly #request: RoutedRequest
  readonly #observe: Observe
  readonly #body = new RequestBody()
  operation: Operation | undefined

  constructor(route: Route & { kind: 'message' }, request: RoutedRequest, { observe }: Accounting) {
    this.#route = route
    this.#request = request
    this.#observe = observe
  }

  requestBody(chunk: Buffer): void {
    this.#body.add(chunk)
  }

  head(status: number): void {
    const { endpointId, sessionId } = this.#route
    const { req, client } = this.#request
    const { rpcMethod, rpcName } = callOf(req, this.#body)
    const protocolVersion = text(req.headers['mcp-protocol-version'])
    const at = epochNow()
    this.#observe({ kind: 'message', endpointId, sessionId, status, client, rpcMethod, rpcName, at })
    if (rpcMethod !== undefined)
      this.operation = { method: rpcMethod, name: rpcName, protocolVersion, status }
    if (isSuccessful(status) && this.#body.mayNameClient)
      this.#observe({ kind: 'identity', endpointId, sessionId, clientInfo: this.#body.clientInfo() })
  }

  chunk(): void {
    // The body of the response is not needed.
  }

  end(): void {
    // Nor is its end.
  }
}

/** Reads a legacy stream: its first event names the session, which ends with the stream. */
export class LegacyStreamTap implements Tap {
  readonly operation = undefined
  readonly #endpointId: WireId
  readonly #client: Client
  readonly #observe: Observe
  /** Set until the session is known. */
  #opening: ReturnType<typeof endpointEvent> | undefined
  /** Set until the negotiated revision is known. */
  #result: ReturnType<typeof initializeResult> | undefined
  #sessionId: WireId | undefined

  constructor(endpointId: WireId, { client }: RoutedRequest, { observe }: Accounting) {
    this.#endpointId = endpointId
    this.#client = client
    this.#observe = observe
  }

  requestBody(): void {
    // A GET has none.
  }

  get streamOf(): StreamSession | undefined {
    const sessionId = this.#sessionId
    return sessionId === undefined ? undefined : { endpointId: this.#endpointId, sessionId }
  }

  head(status: number, headers: ResponseHeaders): void {
    if (isSuccessful(status) && isEventStream(headers)) this.#opening = endpointEvent()
  }

  chunk(chunk: Buffer): void {
    if (this.#opening !== undefined) this.#awaitSession(this.#opening, chunk)
    else if (this.#result !== undefined) this.#awaitResult(this.#result, chunk)
  }

  end(): void {
    this.#emit('legacy-ended')
  }

  #awaitSession(opening: ReturnType<typeof endpointEvent>, chunk: Buffer): void {
    opening.feed(chunk)
    if (!opening.done) return
    this.#opening = undefined
    this.#sessionId = opening.value?.sessionId
    if (this.#sessionId !== undefined) this.#result = initializeResult()
    this.#emit('legacy-opened')
  }

  #awaitResult(result: ReturnType<typeof initializeResult>, chunk: Buffer): void {
    result.feed(chunk)
    if (!result.done) return
    this.#result = undefined
    if (result.value === undefined) return
    const clientInfo = { ...unknownClient, protocolVersion: result.value }
    this.#observe({ kind: 'identity', endpointId: this.#endpointId, sessionId: this.#sessionId!, clientInfo })
  }

  #emit(kind: 'legacy-opened' | 'legacy-ended'): void {
    const sessionId = this.#sessionId
    if (sessionId === undefined) return
    const endpointId = this.#endpointId
    this.#observe({ kind, endpointId, sessionId, client: this.#client, at: epochNow() })
  }
}
