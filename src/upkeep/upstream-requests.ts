// Owns the requests that the proxy itself sends to the upstream: the `ping` of a session that may be gone, and the DELETE
// for idle sessions and for those that an operator ends.
import { randomUUID } from 'node:crypto'
import { buildConnector, type Dispatcher, Pool } from 'undici'
import type { Routes } from '../mcp/routes.js'
import { firstMessageIn, mayBeSessionError, sessionErrorIn } from '../mcp/session-not-found.js'
import { isDigest, OTHER_ENDPOINT, type SessionIds, type StoredId, type WireId } from '../mcp/stored-ids.js'
import { tlsServerName } from '../proxy/upstream/upstream-socket.js'
import type { ClientCredentials } from '../sessions/client-credentials.js'
import type { PingResponse } from '../sessions/observations.js'
import { TurnstileError } from '../util/errors.js'
import { epochNow } from '../util/time.js'

/** Chosen: requests of the proxy are few, and a slow upstream must not be filled with them. */
const MAX_CONNECTIONS = 64
/** For a whole exchange. Chosen: an upstream that is slower than this is in trouble, and the question can wait. */
const TIMEOUT_MS = 5_000
/** The most bytes of a response that are read. Chosen: responses to a ping have some 50. */
const MAX_RESPONSE_BYTES = 64 * 1024

/** What `UpstreamRequests` needs. */
export interface UpstreamRequestsOptions {
  upstream: URL
  /** Send the upstream's authority as `Host` instead of the one that the client sent. */
  rewriteHost: boolean
  connectTimeoutMs: number
  routes: Routes
  /** How clients reach their sessions: requests for a session are sent with the credentials of its client. */
  credentials: ClientCredentials
}

/**
 * No request can be sent for this session: the credentials of its client are forgotten, and its stored ids do not tell
 * how to reach it.
 */
export class UnreachableSession extends TurnstileError {
  readonly code = 'UNREACHABLE_SESSION'
}

/** A session, by its id as on the wire where that is known. */
interface SessionOnWire {
  endpointId: StoredId
  sessionId: WireId | StoredId
}

/** Every request rejects when there is no response within 5 s, and with `UnreachableSession`. */
export class UpstreamRequests {
  readonly #options: UpstreamRequestsOptions
  readonly #pool: Pool

  constructor(options: UpstreamRequestsOptions) {
    this.#options = options
    const { upstream, connectTimeoutMs } = options
    const connect = buildConnector({ timeout: connectTimeoutMs })
    const servername = tlsServerName(upstream)
    this.#pool = new Pool(upstream.origin, {
      connections: MAX_CONNECTIONS,
      connect: (target, callback) => connect({ ...target, servername }, callback),
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
      maxResponseSize: MAX_RESPONSE_BYTES
    })
  }

  /** Whether it has the credentials of the session's client. */
  knows({ endpointId, sessionId }: SessionIds): boolean {
    return this.#options.credentials.of(endpointId, sessionId) !== undefined
  }

  /** Sends a JSON-RPC `ping` (MCP 2025-11-25, "Ping") as the session's client would; no client uses its request id. */
  async ping(session: SessionIds): Promise<PingResponse> {
    const body = JSON.stringify({ jsonrpc: '2.0', id: `mcp-turnstile-${randomUUID()}`, method: 'ping' })
    const { statusCode: status, headers, body: responseBody } = await this.#send('POST', session, body)
    const at = epochNow()
    // Where the body breaks off, the head says it all.
    const text = await responseBody.text().catch(() => '')
    const isStream = /^text\/event-stream\b/i.test(String(headers['content-type']))
    const isRead = isStream || mayBeSessionError(status, headers)
    const error = isRead ? sessionErrorIn(status, isStream ? firstMessageIn(text) : text) : undefined
    const [sessionNotFound, methodNotFound] = [error === 'session-not-found', error === 'method-not-found']
    return { kind: 'ping-response', ...session, status, sessionNotFound, methodNotFound, at }
  }

  /** Sends the DELETE of a session; the status of the response. */
  async end(session: SessionOnWire): Promise<number> {
    const { statusCode, body } = await this.#send('DELETE', session)
    await body.dump().catch(() => undefined)
    return statusCode
  }

  /** Requests under way reject. */
  async close(): Promise<void> {
    await this.#pool.destroy()
  }

  async #send(
    method: 'POST' | 'DELETE',
    { endpointId, sessionId }: SessionOnWire,
    body?: string
  ): Promise<Dispatcher.ResponseData> {
    const { upstream, rewriteHost, routes, credentials } = this.#options
    const client = credentials.of(endpointId, sessionId)
    if (!client && (isDigest(endpointId) || isDigest(sessionId)))
      throw new UnreachableSession('the session is known by the digest of its id only')
    if (!client && endpointId === OTHER_ENDPOINT)
      throw new UnreachableSession(
        'its own endpoint may be one that found no room in the store (--max-endpoints)'
      )
    const target = client?.target ?? routes.streamPath(endpointId)
    if (target === undefined)
      throw new UnreachableSession(`no URL leads to an endpoint with the id "${endpointId}"`)
    const base = upstream.pathname === '/' ? '' : upstream.pathname.replace(/\/$/, '')
    const options: Dispatcher.RequestOptions & { servername: string } = {
      method,
      path: base + target,
      headers: {
        host: (rewriteHost ? undefined : client?.host) ?? upstream.host,
        'user-agent': 'mcp-turnstile',
        accept: 'application/json, text/event-stream',
        'mcp-session-id': client?.sessionId ?? sessionId,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(client?.protocolVersion !== undefined && { 'mcp-protocol-version': client.protocolVersion }),
        ...(client?.authorization !== undefined && { authorization: client.authorization })
      },
      body: body ?? null,
      signal: AbortSignal.timeout(TIMEOUT_MS),
      // Otherwise undici takes the name for TLS from the `Host` field.
      servername: upstream.hostname
    }
    return await this.#pool.request(options)
  }
}
