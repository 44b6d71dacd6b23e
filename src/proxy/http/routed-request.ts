// Owns a request as the proxy understands it: made once when the request arrives, and handed on to all who look at it.
import type { IncomingMessage } from 'node:http'
import type { BlockList } from 'node:net'
import type { AnnouncedSession, MessageUris } from '../../mcp/message-uris.js'
import type { Route, Routes } from '../../mcp/routes.js'
import type { Client } from '../../sessions/observations.js'
import { clientAddress, peerAddressOf } from './client-address.js'
import { readTarget, type Target, upstreamPathOf } from './request-target.js'

/** The settings by which requests are understood; the same for all requests of a proxy. */
export interface Routing {
  /** Which requests are accounted. */
  routes: Routes
  /** What the open legacy streams announced. */
  messageUris: MessageUris
  /** The path of the upstream's URL, as `basePathOf` gives it. */
  basePath: string
  /** Proxies in front of this one whose `X-Forwarded-For` is believed; undefined: none. */
  trustedProxy: BlockList | undefined
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

  /** The target to send upstream. Throws `RefusedRequest` where the request has none. */
  get upstreamPath(): string {
    return upstreamPathOf(this.target.path, this.#routing.basePath)
  }

  /** Who sent the request, as far as its connection and headers say. */
  get client(): Client {
    const { headers } = this.req
    return (this.#client ??= {
      address: clientAddress(this.peerAddress, headers['x-forwarded-for'], this.#routing.trustedProxy),
      userAgent: headers['user-agent']
    })
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
