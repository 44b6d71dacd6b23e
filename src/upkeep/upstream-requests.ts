// Owns the requests that the proxy itself sends to the upstream: the `ping` of a session that may be gone, and the DELETE
// for idle sessions and for those that an operator ends.
import { randomUUID } from 'node:crypto'
import { buildConnector, type Dispatcher, Pool } from 'undici'
import { encodedValue } from '../mcp/header-values.js'
import type { Routes } from '../mcp/routes.js'
import { firstMessageIn, mayBeSessionError, sessionErrorIn } from '../mcp/session-not-found.js'
import { isDigest, OTHER_ENDPOINT, type SessionIds, type StoredId, type WireId } from '../mcp/stored-ids.js'
import { Transport } from '../mcp/transports.js'
import type { NamedSession } from '../proxy/balancing/balancer.js'
import type { Says } from '../proxy/balancing/session-locator.js'
import type { NamedTask } from '../proxy/balancing/tasks.js'
import { tlsServerName } from '../proxy/upstream/upstream-socket.js'
import type {
  ClientCredentials,
  RequestCredentials,
  SessionCredentials
} from '../sessions/client-credentials.js'
import type { PingResponse } from '../sessions/observations.js'
import { messageSignal, pingSignal } from '../sessions/signals.js'
import { TurnstileError } from '../util/errors.js'
import { isSuccessful } from '../util/http-status.js'
import { memberOf, parseJson } from '../util/json.js'
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
  endpointId: WireId | StoredId
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

  /** Sends a JSON-RPC `ping` (MCP 2025-11-25, "Ping") as the session's client would; no client uses its request id. */
  async ping({ endpointId, sessionId }: SessionIds): Promise<PingResponse> {
    const read = await this.#ping({ endpointId, sessionId })
    return { kind: 'ping-response', endpointId, sessionId, ...read }
  }

  /**
   * Whether the upstream has a session, asked with the credentials of a request of it where there is one. Rejects for a legacy
   * session that is only beginning: any message would be its first one, which must be its client's.
   */
  async ask(session: NamedSession, as: SessionCredentials | undefined, isBeginning: boolean): Promise<Says> {
    const { endpointId, sessionId, transport } = session
    if (transport === Transport.streamable) {
      const ways = as === undefined ? this.#ways({ endpointId: endpointId ?? '', sessionId }) : [as]
      return pingSignal(await firstFound(ways, way => (isBeginning ? this.#resume(way) : this.#pingAt(way))))
    }
    if (isBeginning) throw new UnreachableSession('the session is only beginning')
    if (as === undefined) throw new UnreachableSession('no URL leads to the messages of the session')
    // The response to a ping would come on the client's stream. Servers ignore this one (MCP 2025-11-25, "Cancellation").
    const params = { requestId: ownRequestId(), reason: 'no such request: the proxy looks for the session' }
    const body = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params })
    const read = await readError(await this.#send('POST', as, body))
    const says = messageSignal(read)
    return says === 'use' ? 'living' : says
  }

  /**
   * Whether the upstream has a task: it is asked for the task's state as its client would (SEP-2663, `tasks/get`). A server
   * that does not know the task, or no tasks at all, gives a JSON-RPC error.
   */
  async askTask({ taskId }: NamedTask, as: RequestCredentials): Promise<Says> {
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': as.protocolVersion,
      'io.modelcontextprotocol/clientInfo': { name: 'mcp-turnstile', version: '1' },
      'io.modelcontextprotocol/clientCapabilities': { extensions: { 'io.modelcontextprotocol/tasks': {} } }
    }
    const method = 'tasks/get'
    const body = JSON.stringify({ jsonrpc: '2.0', id: ownRequestId(), method, params: { taskId, _meta } })
    const headers = { 'mcp-method': method, 'mcp-name': encodedValue(taskId) }
    const { statusCode, body: response } = await this.#send('POST', as, body, headers)
    // Only the state of a task that is there can be long.
    const text = await response.text().catch(() => '{"result":{}}')
    const message = parseJson(text.startsWith('{') ? text : firstMessageIn(text))
    if (isSuccessful(statusCode) && memberOf(message, 'result') !== undefined) return 'living'
    return statusCode === 404 || memberOf(message, 'error') !== undefined ? 'gone' : 'none'
  }

  async #ping(session: SessionOnWire): Promise<ReadResponse> {
    return await firstFound(this.#ways(session), way => this.#pingAt(way))
  }

  async #pingAt(way: SessionCredentials): Promise<ReadResponse> {
    const body = JSON.stringify({ jsonrpc: '2.0', id: ownRequestId(), method: 'ping' })
    return await readError(await this.#send('POST', way, body))
  }

  /** Asks for a stream to go on after an event that there never was: that is no message, so it can come before the first one. */
  async #resume(way: SessionCredentials): Promise<ReadResponse> {
    const response = await this.#send('GET', way, undefined, { 'last-event-id': ownRequestId() })
    if (!isSuccessful(response.statusCode)) return await readError(response)
    response.body.on('error', () => undefined).destroy()
    return { status: response.statusCode, sessionNotFound: false, at: epochNow() }
  }

  /**
   * Sends the DELETE of a session; the status of the response.
   * @param speaker Another client of the same principal, which may speak for a session whose client is not known here.
   */
  async end(session: SessionOnWire, speaker?: RequestCredentials): Promise<number> {
    const { status } = await firstFound(this.#ways(session, speaker), async way =>
      readError(await this.#send('DELETE', way))
    )
    return status
  }

  /** Requests under way reject. */
  async close(): Promise<void> {
    await this.#pool.destroy()
  }

  /** How a session may be reached, one way at least: as its client does, or as its stored ids tell. */
  #ways({ endpointId, sessionId }: SessionOnWire, speaker?: RequestCredentials): SessionCredentials[] {
    const { routes, credentials } = this.#options
    const client = credentials.of(endpointId, sessionId)
    if (client) return [client]
    if (isDigest(endpointId) || isDigest(sessionId))
      throw new UnreachableSession('the session is known by the digest of its id only')
    if (endpointId === OTHER_ENDPOINT)
      throw new UnreachableSession(
        'its own endpoint may be one that found no room in the store (--max-endpoints)'
      )
    const targets = routes.streamPaths(endpointId)
    if (targets.length === 0)
      throw new UnreachableSession(`no URL leads to an endpoint with the id "${endpointId}"`)
    const { host, authorization, identity } = speaker ?? {}
    const of = { host, sessionId, protocolVersion: undefined, authorization, identity }
    return targets.map(target => ({ target, ...of }))
  }

  async #send(
    method: 'GET' | 'POST' | 'DELETE',
    {
      target,
      host,
      protocolVersion,
      authorization,
      identity,
      ...of
    }: RequestCredentials & { sessionId?: string },
    body?: string,
    fields: Record<string, string> = {}
  ): Promise<Dispatcher.ResponseData> {
    const { upstream, rewriteHost } = this.#options
    const base = upstream.pathname === '/' ? '' : upstream.pathname.replace(/\/$/, '')
    const options: Dispatcher.RequestOptions & { servername: string } = {
      method,
      path: base + target,
      headers: {
        host: (rewriteHost ? undefined : host) ?? upstream.host,
        'user-agent': 'mcp-turnstile',
        accept: 'application/json, text/event-stream',
        ...identity,
        ...fields,
        ...(of.sessionId !== undefined && { 'mcp-session-id': of.sessionId }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(protocolVersion !== undefined && { 'mcp-protocol-version': protocolVersion }),
        ...(authorization !== undefined && { authorization })
      },
      body: body ?? null,
      signal: AbortSignal.timeout(TIMEOUT_MS),
      // Otherwise undici takes the name for TLS from the `Host` field.
      servername: upstream.hostname
    }
    return await this.#pool.request(options)
  }
}

/** The id of a request that no client uses. */
const ownRequestId = (): string => `mcp-turnstile-${randomUUID()}`

/** The first response that is not the `404` of a path that the upstream does not have; else the last one. */
async function firstFound(
  ways: readonly SessionCredentials[],
  ask: (way: SessionCredentials) => Promise<ReadResponse>
): Promise<ReadResponse> {
  let response = await ask(ways[0]!)
  for (const way of ways.slice(1)) {
    if (response.status !== 404 || response.sessionNotFound) break
    response = await ask(way)
  }
  return response
}

/** What a response says of its session. */
type ReadResponse = Pick<PingResponse, 'status' | 'sessionNotFound' | 'methodNotFound' | 'at'>

async function readError({
  statusCode: status,
  headers,
  body
}: Dispatcher.ResponseData): Promise<ReadResponse> {
  const at = epochNow()
  // Where the body breaks off, the head says it all.
  const text = await body.text().catch(() => '')
  const isStream = /^text\/event-stream\b/i.test(String(headers['content-type']))
  const isRead = isStream || mayBeSessionError(status, headers)
  const error = isRead ? sessionErrorIn(status, isStream ? firstMessageIn(text) : text) : undefined
  const [sessionNotFound, methodNotFound] = [error === 'session-not-found', error === 'method-not-found']
  return { status, sessionNotFound, methodNotFound, at }
}
