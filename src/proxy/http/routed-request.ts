// Owns a request as the proxy understands it: made once when the request arrives, and handed on to all who look at it.
import type { IncomingMessage } from 'node:http'
import type { BlockList } from 'node:net'
import type { AnnouncedSession, MessageUris } from '../../mcp/message-uris.js'
import type { Principal } from '../../mcp/principal.js'
import { isSessionless } from '../../mcp/revisions.js'
import type { Route, Routes } from '../../mcp/routes.js'
import type { WireId } from '../../mcp/stored-ids.js'
import type { Client } from '../../sessions/observations.js'
import { clientAddress, isTrusted, peerAddressOf } from './client-address.js'
import { sessionIdIn, text } from './headers.js'
import type { Principals } from './principals.js'
import { readTarget, type Target, upstreamPathOf } from './request-target.js'

/** The settings by which requests are understood; the same for all requests of a proxy. */
export interface Routing {
  /** Which requests are accounted. */
  routes: Routes
  /** What the open legacy streams announced. */
  messageUris: MessageUris
  /** Proxies in front of this one whose `X-Forwarded-For` is believed; undefined: none. */
  trustedProxy: BlockList | undefined
  principals: Principals
}

/** What a request asks for, and what that is accounted as. */
export interface RoutedTarget extends Target {
  /** Undefined where nothing is accounted. */
  route: Route | undefined
}

/** Each property is worked out when it is first asked for, so that a request that is refused early costs little. */
export class RoutedRequest {
  /** The request as Node has it. */
  readonly req: IncomingMessage
  /** The IP address at the other end of the connection. */
  readonly peerAddress: string
  readonly #routing: Routing
  #target: RoutedTarget | undefined
  #client: Client | undefined

  constructor(req: IncomingMessage, routing: Routing) {
    this.req = req
    this.peerAddress = peerAddressOf(req.socket)
    this.#routing = routing
  }

  /** What the client asks for. Throws `RefusedRequest` where the target cannot be read. */
  get target(): RoutedTarget {
    return (this.#target ??= this.#route())
  }

  /** The target to send to an upstream with this base path. Throws `RefusedRequest` where the request has none. */
  upstreamPath(basePath: string): string {
    return upstreamPathOf(this.target.path, basePath)
  }

  /**
   * The endpoint on which the request would open a session: with a legacy stream, or with `initialize`, which the head shows
   * by what it lacks, a session id. Session-less clients name their revision and method in the head. Older clients of an
   * upstream without sessions look as if they sent `initialize`.
   */
  get opensSessionOn(): WireId | undefined {
    const { method, headers } = this.req
    const { route } = this.target
    if (route?.kind === 'legacy-stream') return route.endpointId
    if (route?.kind !== 'streamable' || method !== 'POST' || sessionIdIn(this.req) !== undefined)
      return undefined
    return isSessionless(text(headers['mcp-protocol-version'])) ||
      (headers['mcp-method'] ?? 'initialize') !== 'initialize'
      ? undefined
      : route.endpointId
  }

  /** The path as logs show it: without query and session ids. */
  get shownPath(): string {
    let route: Route | undefined
    try {
      route = this.target.route
    } catch {
      // What cannot be read is no path of an endpoint.
    }
    return this.#routing.routes.shownPath(this.#target?.path ?? this.req.url ?? '', route)
  }

  /** Who sent the request, as far as its connection and headers say. */
  get client(): Client {
    const { headers } = this.req
    return (this.#client ??= {
      address: clientAddress(this.peerAddress, headers['x-forwarded-for'], this.#routing.trustedProxy),
      userAgent: headers['user-agent']
    })
  }

  /** On whose behalf it was sent, as its header fields say; true only where the upstream accepts the request. */
  get principal(): Principal | undefined {
    const { principals, trustedProxy } = this.#routing
    return principals.of(
      this.req,
      () => trustedProxy !== undefined && isTrusted(trustedProxy, this.peerAddress)
    )
  }

  /** The fields beside `Authorization` that say who sent it. */
  get identity(): Record<string, string> | undefined {
    return this.#routing.principals.identityIn(this.req)
  }

  #route(): RoutedTarget {
    const { method, url = '' } = this.req
    const { path, authority } = readTarget(url)
    const { routes, messageUris } = this.#routing
    const announced = method === 'POST' ? messageUris.sessionOf(path, this) : undefined
    return { path, authority, route: announced ? messageOf(announced) : routes.match(method, path) }
  }
}

const messageOf = ({ endpointId, sessionId }: AnnouncedSession): Route => ({
  kind: 'message',
  endpointId,
  sessionId
})
