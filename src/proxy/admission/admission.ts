// Owns whether a request is let in: for which names, how many at once, and the session limit of each endpoint.
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { WireId } from '../../mcp/stored-ids.js'
import { asksForStream } from '../http/headers.js'
import { endConnectionAfter } from '../http/node-internals.js'
import {
  type FailureLog,
  failureOf,
  RefusedRequest,
  sendFailure,
  sendRawFailure
} from '../http/proxy-errors.js'
import type { RoutedRequest } from '../http/routed-request.js'
import { type AllowedNames, type HostRefusals, refuseStranger } from './allowed-hosts.js'
import type { DrainedEndpoints } from './drained-endpoints.js'

/** What there may be at once; 0: no limit. */
export interface Limits {
  /** Connections of clients, whatever they are used for. */
  maxConnections: number
  /** Requests for a stream, as `asksForStream` recognises them, and WebSockets. */
  maxStreams: number
  /** All other requests, until their responses are out. */
  maxRequests: number
  /** Open sessions of one endpoint, as `liveSessions` counts them. */
  maxSessionsPerEndpoint: number
}

/** The open sessions of an endpoint. It is asked for each request that would open one, so it must answer from memory. */
export type LiveSessions = (endpointId: WireId) => number

/** What `Admission` decides by. */
export interface AdmissionOptions {
  limits: Limits
  liveSessions: LiveSessions
  allowedNames: AllowedNames
  drainedEndpoints: DrainedEndpoints
  /** Undefined where the proxy rewrites `Host`. */
  hostRefusals: HostRefusals | undefined
  failures: FailureLog
}

/** What is under way. */
export interface UnderWay {
  streams: number
  requests: number
}

/** Connections above the limit that still get a `503`; more are closed at once. Chosen: room for a burst of clients. */
const SPARE_CONNECTIONS = 128

/** Lets requests and upgrades in, or refuses them, and counts what is under way. */
export class Admission {
  readonly #options: AdmissionOptions
  /** Connections above the limit. */
  readonly #surplus = new WeakSet<Socket>()
  /** By endpoint, the responses under way that will open a session there, as far as the request shows. */
  readonly #opening = new Map<WireId, Set<ServerResponse>>()
  readonly #underWay: UnderWay = { streams: 0, requests: 0 }

  constructor(options: AdmissionOptions) {
    this.#options = options
  }

  /** What was let in and is not over. */
  get underWay(): Readonly<UnderWay> {
    return this.#underWay
  }

  /** The most connections that Node may accept. */
  get hardMaxConnections(): number {
    const { maxConnections } = this.#options.limits
    return maxConnections === 0 ? Infinity : maxConnections + SPARE_CONNECTIONS
  }

  /** A client connected: one of `count` that are connected now. */
  connected(socket: Socket, count: number): void {
    if (isReached(this.#options.limits.maxConnections, count - 1)) this.#surplus.add(socket)
  }

  /** Whether the request may be forwarded. If not, it gets its response here. */
  admit(request: RoutedRequest, res: ServerResponse): boolean {
    const { req } = request
    const { allowedNames, hostRefusals, failures } = this.#options
    try {
      this.#refuseSurplus(req.socket)
      refuseStranger(request, allowedNames)
      this.#refuseSession(request, res)
      const kind = asksForStream(req) ? 'streams' : 'requests'
      this.#begin(kind)
      // `once` would keep three more objects for each, as long as a stream lasts.
      res.on('close', () => {
        this.#underWay[kind]--
        hostRefusals?.responded(req, res.statusCode)
      })
      return true
    } catch (error) {
      if (this.#surplus.has(req.socket)) endConnectionAfter(res)
      sendFailure(res, failureOf(error, request, failures))
      return false
    }
  }

  /** Whether the upgrade may be forwarded. If not, it gets its response here. It counts as a stream until its connection closes. */
  admitUpgrade(request: RoutedRequest, socket: Socket): boolean {
    const { allowedNames, failures } = this.#options
    try {
      this.#refuseSurplus(socket)
      refuseStranger(request, allowedNames)
      this.#begin('streams')
      socket.once('close', () => this.#underWay.streams--)
      return true
    } catch (error) {
      socket.on('error', () => socket.destroy())
      sendRawFailure(socket, failureOf(error, request, failures))
      return false
    }
  }

  #refuseSurplus(socket: Socket): void {
    if (this.#surplus.has(socket))
      throw new RefusedRequest('The proxy has too many connections', 503, 'connections')
  }

  /** Counts one more under way; the caller counts it down when it ends. */
  #begin(kind: keyof UnderWay): void {
    const { maxStreams, maxRequests } = this.#options.limits
    if (isReached(kind === 'streams' ? maxStreams : maxRequests, this.#underWay[kind]))
      throw new RefusedRequest(`The proxy has too many ${kind} under way`, 503, kind)
    this.#underWay[kind]++
  }

  /**
   * The session limit (`--max-sessions-per-endpoint`), and drained endpoints. Throws `RefusedRequest` if the request would open a
   * session that must not be opened; otherwise counts that session until its response begins.
   */
  #refuseSession(request: RoutedRequest, res: ServerResponse): void {
    const { limits, liveSessions, drainedEndpoints } = this.#options
    const limit = limits.maxSessionsPerEndpoint
    if (limit === 0 && drainedEndpoints.endpoints.size === 0) return
    const endpointId = request.opensSessionOn
    if (endpointId === undefined) return
    drainedEndpoints.check(endpointId)
    if (limit === 0) return
    const opening = this.#opening.get(endpointId) ?? new Set()
    for (const response of opening) {
      // Once the head of a response is out, its session is among the live ones.
      if (response.headersSent || response.closed) opening.delete(response)
    }
    if (liveSessions(endpointId) + opening.size >= limit) {
      if (opening.size === 0) this.#opening.delete(endpointId)
      throw new RefusedRequest('The endpoint has reached its session limit', 503, 'sessions')
    }
    this.#opening.set(endpointId, opening.add(res))
    res.once('close', () => {
      if (opening.delete(res) && opening.size === 0) this.#opening.delete(endpointId)
    })
  }
}

const isReached = (limit: number, count: number): boolean => limit > 0 && count >= limit
