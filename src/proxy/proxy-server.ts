// Owns the proxy's listener and its life: Fastify opens and closes it, and Node's server hands requests to `forward`.
import assert from 'node:assert'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, type BlockList, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import Fastify, { type FastifyBaseLogger } from 'fastify'
import type { ConversationKey } from '../mcp/conversation.js'
import { MessageUris } from '../mcp/message-uris.js'
import type { Routes } from '../mcp/routes.js'
import type { StoredId } from '../mcp/stored-ids.js'
import type { PortableMetric } from '../metrics/metric.js'
import type { Operations } from '../metrics/operations.js'
import { BY_ALL, type Traffic } from '../metrics/traffic.js'
import type { ClientCredentials } from '../sessions/client-credentials.js'
import type { Observe } from '../sessions/observations.js'
import { Visitors } from '../sessions/visitors.js'
import { ThrottledLog } from '../util/log.js'
import type { Closable } from '../util/startup.js'
import { checkIntervalMs, MINUTE_MS } from '../util/time.js'
import type { EpochMs } from '../util/time.js'
import { startTlsFront, type TlsFiles } from '../util/tls-front.js'
import { accessEntry, type WriteAccess } from './access-entry.js'
import { Admission, type Limits, type LiveSessions } from './admission/admission.js'
import { type AllowedNames, HostRefusals } from './admission/allowed-hosts.js'
import { DrainedEndpoints } from './admission/drained-endpoints.js'
import { PrincipalLimit, type PrincipalLimitOptions } from './admission/principal-limit.js'
import { cutStalled } from './admission/stalled-clients.js'
import { Balancer, type BalancerOptions } from './balancing/balancer.js'
import { ConnectedClients, type SessionStream } from './connected-clients.js'
import { forward, type ForwardOptions } from './forward.js'
import { onBodyTimeout, onClientError, onConnect } from './http/client-errors.js'
import { takeBytes } from './http/connection-bytes.js'
import { maxHeaderBytes } from './http/header-section.js'
import { neverCloseIdleConnections, upgradeOnlyIf } from './http/node-internals.js'
import { inTurn, responseInFlight } from './http/pipelining.js'
import { Principals, type PrincipalSettings } from './http/principals.js'
import { RoutedRequest, type Routing } from './http/routed-request.js'
import { UpstreamCors } from './http/upstream-cors.js'
import { ConversationKeys } from './taps/conversation-keys.js'
import { Notices, type UncountedPath } from './taps/notices.js'
import { forwardUpgrade, handleAsPlainRequest, isWebSocketUpgrade, type UpgradeOptions } from './upgrade.js'

/** How long the proxy waits for a client, in milliseconds; each: 0 is for ever. */
export interface Timeouts {
  /** For the whole head of a request, from its first byte or the connection's beginning; then `408`. */
  headTimeoutMs: number
  /** For the next request on a connection. */
  keepAliveTimeoutMs: number
  /** For any progress of a body that the client sends (then `408`), or of a response that it reads. */
  stallTimeoutMs: number
}

/** Each of them goes only to the parts that use it: see `startProxy`. */
export interface ProxyOptions
  extends Timeouts, Limits, AllowedNames, BalancerOptions, PrincipalSettings, PrincipalLimitOptions {
  host: string
  /** Undefined: without TLS. */
  tls?: TlsFiles | undefined
  /** 0: any free one. */
  port: number
  /** The descriptor of a socket to listen on, in place of `host` and `port`. */
  listenFd?: number | undefined
  /** Send the upstream's authority as `Host` instead of the client's. */
  rewriteHost: boolean
  /** For the head of the response to an upgrade, in milliseconds; 0 is for ever. */
  upstreamTimeoutMs: number
  /** After so long without a byte an event stream gets a comment, in milliseconds; 0: never. */
  sseKeepAliveMs: number
  /** Which requests are accounted. */
  routes: Routes
  liveSessions: LiveSessions
  /** Where the proxy notes how clients reach their sessions. */
  credentials: ClientCredentials
  observe: Observe
  /** An open GET stream is use of its session. */
  streamIsUse: boolean
  /** Where requests say to which conversation they belong. */
  conversationKey: readonly ConversationKey[]
  operations: Operations
  /** Proxies in front of this one whose `X-Forwarded-For` is believed. */
  trustedProxy?: BlockList | undefined
  logger: FastifyBaseLogger
  traffic: Traffic
  /** The access log, and what makes spans; undefined: there is neither. */
  writeAccess?: WriteAccess | undefined
  /** Spans are made of requests. */
  isTraced?: boolean | undefined
}

/** A proxy that listens. */
export interface Proxy {
  readonly port: number
  readonly url: string
  /** Endpoints that let no new sessions in; add and remove them here. */
  readonly drainedEndpoints: Set<StoredId>
  /** The streams of a session that run through this proxy. */
  streamsOf(endpointId: StoredId, sessionId: StoredId): SessionStream[]
  /** The sessions (`sessionKey`) of Streamable HTTP that have a call under way through this proxy. */
  inCall(): ReadonlySet<string>
  /**
   * Reports, to `observe`, the sessions and session-less clients that exchanges under way keep present at `at`, but for those
   * in use within `withinMs`, and of many only this share: the others next time.
   */
  notePresence(at: EpochMs, withinMs: number, share: number): void
  /** Paths with MCP that is not counted. */
  uncounted(): UncountedPath[]
  /** What passed since the process started, and what there is now. */
  metrics(): PortableMetric[]
  /** Stops accepting, lets requests in flight finish, and cuts what is left (streams) after `graceMs`. */
  close(graceMs: number): Promise<void>
}

/**
 * When the operating system begins to probe a silent connection, to find peers that vanished without a word; it does so on
 * streams that wait for events too. Chosen: NATs and load balancers forget a silent connection after minutes.
 */
const KEEP_ALIVE_PROBE_MS = 60_000

/**
 * So many connections the system holds until the process takes them; a client that finds no room tries again only after seconds.
 * Chosen: the most that Linux allows by default (`net.core.somaxconn`).
 */
const BACKLOG = 4_096

/** How many failures of a kind are logged in a minute, so that their request ids are found. Chosen: more than people cause. */
const FAILURES_PER_MINUTE = 10

const unreadableStream =
  'A legacy stream cannot be read, so its session is not counted; later ones are counted in turnstile_unreadable_streams_total'

/** Listens on `host` and `port`. Throws the error of listening as it is. */
export async function startProxy(options: ProxyOptions): Promise<Proxy> {
  const { upstreams, upstreamTimeoutMs, rewriteHost, logger, traffic, operations } = options
  const { maxConnections, maxStreams, maxRequests, maxSessionsPerEndpoint, liveSessions } = options
  const { routes, trustedProxy, credentials, observe, streamIsUse, allowedHost, allowedOrigin } = options
  const { headTimeoutMs, keepAliveTimeoutMs, stallTimeoutMs, sseKeepAliveMs, tls } = options
  const scheme = tls === undefined ? 'http' : 'https'
  const { principals, principalHeader, principalClaim, apiKeyHeader } = options
  const { maxSessionsPerPrincipal, whenFull, principalCounts } = options

  const refusals = new ThrottledLog(logger)
  const upstreamFailures = new ThrottledLog(logger, FAILURES_PER_MINUTE, MINUTE_MS)
  const failures = { refusals, failures: upstreamFailures, traffic, cors: new UpstreamCors() }
  const clients = new ConnectedClients()
  const drainedEndpoints = new DrainedEndpoints()
  const isUpstreamHost = (host: string | undefined): boolean =>
    Array.from(upstreams.all).some(({ url }) => url.host === host)
  const admission = new Admission({
    limits: { maxConnections, maxStreams, maxRequests, maxSessionsPerEndpoint },
    liveSessions,
    allowedNames: { allowedHost, allowedOrigin },
    drainedEndpoints,
    hostRefusals: rewriteHost ? undefined : new HostRefusals(isUpstreamHost, logger),
    failures
  })
  const notices = new Notices(logger, traffic, routes.patterns)
  const messageUris = new MessageUris()
  const unreadable = (reason: string): void => {
    if (traffic.streamUnreadable()) logger.warn({ reason }, unreadableStream)
  }
  const accounting = {
    credentials,
    visitors: new Visitors(),
    conversations: new ConversationKeys(options.conversationKey),
    observe,
    notices,
    messageUris,
    unreadable,
    streamIsUse,
    isTraced: options.isTraced === true
  }
  const parts: ServerParts = {
    routing: {
      routes,
      messageUris,
      trustedProxy,
      principals: new Principals({ principals, principalHeader, principalClaim, apiKeyHeader })
    },
    admission,
    clients,
    traffic,
    forwarding: {
      balancer: new Balancer(options),
      principalLimit: new PrincipalLimit({ maxSessionsPerPrincipal, whenFull, principalCounts }),
      ...{ clients, accounting, operations, traffic, failures, sseKeepAliveMs },
      writeAccess: options.writeAccess
    },
    upgrading: { upstreams, upstreamTimeoutMs, clients, traffic, failures }
  }
  const fronts: Closable[] = []
  const app = Fastify({
    loggerInstance: logger,
    clientErrorHandler: (error, socket) => onClientError(error, socket, traffic),
    serverFactory: () => {
      const server = createHttpServer(parts, headTimeoutMs, keepAliveTimeoutMs)
      if (tls !== undefined) fronts.push(startTlsFront(server, tls, headTimeoutMs, logger))
      return server
    }
  })
  const { host, port: wantedPort, listenFd } = options
  await app.listen({
    // Node takes the descriptor first; Fastify would look the host up.
    ...(listenFd === undefined ? { host, port: wantedPort } : { host: '0.0.0.0', fd: listenFd }),
    backlog: BACKLOG,
    listenTextResolver: at => `Proxy listening at ${at.replace(/^http:/, `${scheme}:`)}`
  })
  const stopCutting = cutStalled({
    clients: clients.sockets,
    timeoutMs: stallTimeoutMs,
    cut: (socket, sending) => {
      refusals.info({ sending }, 'a client stopped in the middle')
      if (sending) return onBodyTimeout(socket, traffic)
      traffic.refused('stalled')
      socket.resetAndDestroy()
    }
  })
  const { port, address, family } = app.server.address() as AddressInfo

  return {
    port,
    url: `${scheme}://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    drainedEndpoints: drainedEndpoints.endpoints,
    streamsOf: (endpointId, sessionId) => clients.streamsOf(endpointId, sessionId),
    inCall: () => clients.inCall(),
    uncounted: () => notices.uncounted,
    notePresence: (at, withinMs, share) => clients.notePresence(at, withinMs, share),
    async close(graceMs) {
      await clients.close(graceMs, () => Promise.all([app.close(), ...fronts.map(front => front.close())]))
      stopCutting()
    },
    metrics() {
      const { received, sent } = clients.bytes
      const gateways = [...upstreams.all]
      return traffic.metrics({
        connections: clients.sockets.size,
        webSockets: clients.webSockets,
        streams: admission.underWay.streams,
        requests: admission.underWay.requests,
        maxConnections,
        maxStreams,
        maxRequests,
        upstreams: gateways.map(({ name, pool: { census, idle } }) => ({
          ...{ name: upstreams.only === undefined ? name : BY_ALL, idle, ...census }
        })),
        receivedBytes: received,
        sentBytes: sent,
        upstreamStalls: gateways.some(({ delayedAcks }) => delayedAcks?.found)
      })
    }
  }
}

interface ServerParts {
  routing: Routing
  admission: Admission
  clients: ConnectedClients
  traffic: Traffic
  forwarding: ForwardOptions
  upgrading: UpgradeOptions
}

function createHttpServer(parts: ServerParts, headTimeoutMs: number, keepAliveTimeoutMs: number): Server {
  const { routing, admission, clients, traffic, forwarding, upgrading } = parts
  const server = createServer(
    {
      ...upgradeOnlyIf(isWebSocketUpgrade),
      keepAliveTimeout: keepAliveTimeoutMs,
      headersTimeout: headTimeoutMs,
      connectionsCheckingInterval: checkIntervalMs(headTimeoutMs),
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS,
      requestTimeout: 0,
      maxHeaderSize: maxHeaderBytes,
      noDelay: true
    },
    (req, res) =>
      inTurn(res, () => {
        const request = new RoutedRequest(req, routing)
        if (admission.admit(request, res)) return forward(request, res, forwarding)
        // No request after it is to account for those.
        const bytes = takeBytes(req.socket)
        const end = { status: res.statusCode, error: 'refused', bytes, durationMs: 0 } as const
        forwarding.writeAccess?.(accessEntry(request, end))
      })
  )
  // `ConnectedClients.close` ends them.
  neverCloseIdleConnections(server)
  server.maxConnections = admission.hardMaxConnections
  // Their size is limited; above a limit of their number Node would drop fields silently.
  server.maxHeadersCount = 0
  server.on('connection', (socket: Socket) => {
    // `handleAsPlainRequest` hands in a connection that is known.
    if (clients.sockets.has(socket)) return
    clients.add(socket)
    admission.connected(socket, clients.sockets.size)
    socket.on('close', () => {
      traffic.disconnected(socket)
      clients.remove(socket)
    })
  })
  server.on('upgrade', (req, socket: Duplex, head) => {
    assert(socket instanceof Socket)
    const isWebSocket = isWebSocketUpgrade(req)
    const request = new RoutedRequest(req, routing)
    if (isWebSocket && !admission.admitUpgrade(request, socket)) return
    // Node no longer reads from this connection, so a client that leaves while a response is under way would not be seen.
    if (responseInFlight(socket) !== undefined) socket.destroy()
    else if (isWebSocket) forwardUpgrade(request, socket, head, upgrading)
    else handleAsPlainRequest(server, req, socket, head)
  })
  server.on('connect', (_req, socket: Duplex) => {
    assert(socket instanceof Socket)
    onConnect(socket, traffic)
  })
  return server
}
