// Owns whether a request is let in: for whom, how much at once, how many sessions an endpoint may have.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { LISTEN_METHOD } from '../../mcp/methods.js'
import { isSessionless } from '../../mcp/revisions.js'
import type { Routes } from '../../mcp/routes.js'
import { text } from '../http/headers.js'
import {
  failureOf,
  RefusedRequest,
  sendFailure,
  sendRawFailure,
  type Witnesses
} from '../http/proxy-errors.js'
import { originForm } from '../http/request-target.js'
import { type AllowedNames, HostRefusals, refuseStranger } from './allowed-hosts.js'
import type { DrainedEndpoints } from './drained-endpoints.js'

/** Each limit: 0 is none. */
export interface Limits {
  /** Connections of clients, whatever they are used for. */
  maxConnections: number
  /** Requests for a stream (`asksForStream`) and WebSockets. */
  maxStreams: number
  /** All other requests, until their answers are out. */
  maxRequests: number
  /** Open sessions of one endpoint, by `liveSessions`. */
  maxSessionsPerEndpoint: number
  /** Open sessions of an endpoint (its id as on the wire), from memory: asked for each request that would open one. */
  liveSessions: (endpointId: string) => number
}

export interface AdmissionOptions extends Limits, AllowedNames, Witnesses {
  drains: DrainedEndpoints
  upstream: URL
  rewriteHost: boolean
  routes: Routes
}

/** Connections above the limit that still get an answer; more are closed at once. */
const SPARE_CONNECTIONS = 128

export class Admission {
  readonly #options: AdmissionOptions
  readonly #surplus = new WeakSet<Socket>()
  /** By endpoint, the answers under way that will open a session there, as far as the request tells. */
  readonly #opening = new Map<string, Set<ServerResponse>>()
  readonly #underWay = { streams: 0, requests: 0 }
  readonly #hostRefusals: HostRefusals

  constructor(options: AdmissionOptions) {
    this.#options = options
    this.#hostRefusals = new HostRefusals(options)
  }

  get underWay(): Readonly<Record<'streams' | 'requests', number>> {
    return this.#underWay
  }

  /** The most connections that node may accept. */
  get hardMaxConnections(): number {
    const { maxConnections } = this.#options
    return maxConnections === 0 ? Infinity : maxConnections + SPARE_CONNECTIONS
  }

  /** A client connected; it is one of `count` now. */
  connected(socket: Socket, count: number): void {
    if (isReached(this.#options.maxConnections, count - 1)) this.#surplus.add(socket)
  }

  /** Whether the request may be forwarded; if not, it is answered. */
  admit(req: IncomingMessage, res: ServerResponse): boolean {
    try {
      this.#refuseSurplus(req.socket)
      refuseStranger(req, this.#options)
      this.#refuseSession(req, res)
      const kind = asksForStream(req) ? 'streams' : 'requests'
      this.#begin(kind)
      // `once` would keep three more objects for each, as long as a stream lasts.
      res.on('close', () => {
        this.#underWay[kind]--
        this.#hostRefusals.answered(req, res.statusCode)
      })
      return true
    } catch (error) {
      if (this.#surplus.has(req.socket)) res.shouldKeepAlive = false
      sendFailure(res, failureOf(error, req, this.#options))
      return false
    }
  }

  /** The same for an upgrade, which keeps its connection for as long as it lives. */
  admitUpgrade(req: IncomingMessage, socket: Socket): boolean {
    try {
      this.#refuseSurplus(socket)
      refuseStranger(req, this.#options)
      this.#begin('streams')
      socket.once('close', () => this.#underWay.streams--)
      return true
    } catch (error) {
      socket.on('error', () => socket.destroy())
      sendRawFailure(socket, failureOf(error, req, this.#options))
      return false
    }
  }

  #refuseSurplus(socket: Socket): void {
    if (this.#surplus.has(socket))
      throw new RefusedRequest('The proxy has too many connections', 503, 'connections')
  }

  /** Whoever begins one ends it. */
  #begin(kind: 'streams' | 'requests'): void {
    const { maxStreams, maxRequests } = this.#options
    if (isReached(kind === 'streams' ? maxStreams : maxRequests, this.#underWay[kind]))
      throw new RefusedRequest(`The proxy has too many ${kind} under way`, 503, kind)
    this.#underWay[kind]++
  }

  #refuseSession(req: IncomingMessage, res: ServerResponse): void {
    const { maxSessionsPerEndpoint: most, liveSessions, routes, drains } = this.#options
    if (most === 0 && drains.endpoints.size === 0) return
    const endpointId = opensSessionOf(req, routes)
    drains.check(endpointId)
    if (most === 0 || endpointId === undefined) return
    const opening = this.#opening.get(endpointId) ?? new Set()
    for (const answer of opening) {
      // With its head an answer tells of its session, which is then among the live ones.
      if (answer.headersSent || answer.closed) opening.delete(answer)
    }
    if (liveSessions(endpointId) + opening.size >= most) {
      if (opening.size === 0) this.#opening.delete(endpointId)
      throw new RefusedRequest('The endpoint has as many sessions as it may', 503, 'sessions')
    }
    this.#opening.set(endpointId, opening.add(res))
    res.once('close', () => {
      if (opening.delete(res) && opening.size === 0) this.#opening.delete(endpointId)
    })
  }
}

const isReached = (limit: number, count: number): boolean => limit > 0 && count >= limit

/** By its head: a client that wants events says so (MCP 2025-03-26, "Listening for Messages"; 2026-07-28, "Listen"). */
function asksForStream({ method, headers }: IncomingMessage): boolean {
  if (method === 'GET') return headers.accept?.includes('text/event-stream') === true
  return headers['mcp-method'] === LISTEN_METHOD
}

/**
 * The endpoint on which the request would open a session: a legacy stream, or `initialize`, which is known by what is
 * not there. Session-less clients say their revision and method in the head; older ones of a stateless gateway look
 * like `initialize`, but then nobody has sessions there, and the limit is never reached.
 */
function opensSessionOf(req: IncomingMessage, routes: Routes): string | undefined {
  const { method, headers } = req
  const route = routes.match(method, originForm(req).path)
  if (route?.kind === 'legacy-stream') return route.endpointId
  if (route?.kind !== 'streamable' || method !== 'POST' || headers['mcp-session-id'] !== undefined)
    return undefined
  return isSessionless(text(headers['mcp-protocol-version'])) ||
    (headers['mcp-method'] ?? 'initialize') !== 'initialize'
    ? undefined
    : route.endpointId
}
