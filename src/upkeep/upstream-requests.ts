// Owns the requests that the proxy itself sends to the upstream: asking whether a session lives, and ending one.
import { randomUUID } from 'node:crypto'
import { buildConnector, type Dispatcher, Pool } from 'undici'
import { hasDotSegment, type Routes } from '../mcp/routes.js'
import { SESSION_NOT_FOUND } from '../mcp/session-not-found.js'
import { isDigest } from '../mcp/stored-ids.js'
import { tlsServerName } from '../proxy/upstream/upstream-socket.js'
import type { ClientCredentials } from '../sessions/client-credentials.js'
import type { PingResponse } from '../sessions/observations.js'
import type { Suspect } from '../sessions/suspects.js'

const MAX_CONNECTIONS = 64
const TIMEOUT_MS = 5_000
const MAX_ANSWER_BYTES = 64 * 1024

export interface UpstreamRequestsOptions {
  upstream: URL
  rewriteHost: boolean
  connectTimeoutMs: number
  routes: Routes
  callers: ClientCredentials
}

/** Nobody knows how to ask for this session: its client's last request is forgotten, and its stored ids do not tell. */
export class UnreachableSession extends Error {
  readonly code = 'UNREACHABLE_SESSION'
}

/** All reject when there is no answer within 5 s. */
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
      maxResponseSize: MAX_ANSWER_BYTES
    })
  }

  /** Whether it can speak as the session's client. */
  knows({ endpointId, sessionId }: Suspect): boolean {
    return this.#options.callers.of(endpointId, sessionId) !== undefined
  }

  /** Sends a JSON-RPC `ping` as the session's client would. Its id is no client's. */
  async ping(session: Suspect): Promise<PingResponse> {
    const body = JSON.stringify({ jsonrpc: '2.0', id: `mcp-turnstile-${randomUUID()}`, method: 'ping' })
    const { statusCode: status, headers, ...answer } = await this.#send('POST', session, body)
    const at = Date.now()
    let text = ''
    if (status === 401 && headers['www-authenticate'] === undefined) text = await answer.body.text()
    // The head has told; a body that breaks off takes nothing back.
    else await answer.body.dump().catch(() => undefined)
    const sessionNotFound = text === SESSION_NOT_FOUND
    return { kind: 'ping-answer', ...session, status, sessionNotFound, at }
  }

  /** Sends the DELETE of a session; the status of the answer. */
  async end(session: Suspect): Promise<number> {
    const { statusCode, body } = await this.#send('DELETE', session)
    await body.dump().catch(() => undefined)
    return statusCode
  }

  async close(): Promise<void> {
    await this.#pool.destroy()
  }

  async #send(
    method: 'POST' | 'DELETE',
    { endpointId, sessionId }: Suspect,
    body?: string
  ): Promise<Dispatcher.ResponseData> {
    const { upstream, rewriteHost, routes, callers } = this.#options
    const caller = callers.of(endpointId, sessionId)
    if (!caller && (isDigest(endpointId) || isDigest(sessionId)))
      throw new UnreachableSession('the session is known by the digest of its id only')
    const target = caller?.target ?? routes.streamPath(endpointId)
    if (!caller && hasDotSegment(target))
      throw new UnreachableSession(`no URL leads to an endpoint with the id "${endpointId}"`)
    const base = upstream.pathname === '/' ? '' : upstream.pathname.replace(/\/$/, '')
    const options: Dispatcher.RequestOptions & { servername: string } = {
      method,
      path: base + target,
      headers: {
        host: (rewriteHost ? undefined : caller?.host) ?? upstream.host,
        'user-agent': 'mcp-turnstile',
        accept: 'application/json, text/event-stream',
        'mcp-session-id': caller?.sessionId ?? sessionId,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(caller?.protocolVersion !== undefined && { 'mcp-protocol-version': caller.protocolVersion }),
        ...(caller?.authorization !== undefined && { authorization: caller.authorization })
      },
      body: body ?? null,
      signal: AbortSignal.timeout(TIMEOUT_MS),
      // Otherwise undici takes the name for TLS from the `Host` field.
      servername: upstream.hostname
    }
    return await this.#pool.request(options)
  }
}
