// Owns the proxy's listener and its life: Fastify opens and closes it, node's server hands requests to `forward`.
import assert from 'node:assert'
import { createServer, STATUS_CODES, type IncomingMessage, type Server, type ServerOptions } from 'node:http'
import { type BlockList, Socket, type AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import Fastify, { type FastifyBaseLogger } from 'fastify'
import type { Routes } from '../mcp/routes.js'
import { storedId } from '../mcp/stored-ids.js'
import type { PortableMetric } from '../metrics/metric.js'
import type { Operations } from '../metrics/operations.js'
import type { RefusalReason, Traffic } from '../metrics/traffic.js'
import type { ClientCredentials } from '../sessions/client-credentials.js'
import type { Observe } from '../sessions/observations.js'
import { Admission, type Limits } from './admission/admission.js'
import type { AllowedNames } from './admission/allowed-hosts.js'
import { DrainedEndpoints } from './admission/drained-endpoints.js'
import { cutStalled } from './admission/stalled-clients.js'
import { forward, type ForwardContext } from './forward.js'
import { maxHeaderBytes } from './http/header-section.js'
import { responseInFlight, inTurn } from './http/pipelining.js'
import { handleUpgrade, isWebSocketUpgrade } from './upgrade.js'
import { ConnectionPool } from './upstream/connection-pool.js'
import { DelayedAckDetector } from './upstream/delayed-acks.js'

export interface ProxyOptions extends Timeouts, Limits, AllowedNames {
  upstream: URL
  host: string
  port: number
  /** Send the upstream's authority as `Host` instead of the client's. */
  rewriteHost: boolean
  /** To the headers of an answer; there is no limit on bodies and streams. */
  upstreamTimeoutMs: number
  connectTimeoutMs: number
  /** Which requests are accounted. */
  routes: Routes
  /** Where it is noted how clients reach their sessions. */
  callers: ClientCredentials
  observe: Observe
  operations: Operations
  /** Proxies in front of this one whose `X-Forwarded-For` is believed. */
  trustedProxy?: BlockList | undefined
  logger: FastifyBaseLogger
  traffic: Traffic
}

export interface Proxy {
  readonly port: number
  readonly url: string
  /** Endpoints that let no new sessions in, by their stored ids. */
  readonly draining: Set<string>
  /** The streams of a session that run through this proxy; its ids as they are stored. */
  streamsOf(endpointId: string, sessionId: string): Stream[]
  /** What passed since the process started, and what there is now. */
  metrics(): PortableMetric[]
  /** Stops accepting, lets requests in flight finish, and cuts what is left (streams) after `graceMs`. */
  close(graceMs: number): Promise<void>
}

/** How long the proxy waits for a client; each: 0 is for ever. */
export interface Timeouts {
  /** For the whole head of a request, from its first byte or the connection's beginning; then `408`. */
  headTimeoutMs: number
  /** For the next request on a connection. */
  keepAliveTimeoutMs: number
  /** For any progress of a body that it sends (then `408`) or an answer that it reads. */
  stallTimeoutMs: number
}

export interface Stream {
  /** As on the wire. */
  readonly sessionId: string
  cut(): void
}

const SWEEP_INTERVAL_MS = 50
/** A client may send its next request just when its connection is closed: those in use are not, for this long. */
const UNUSED_MS = 1_000
/** How often node looks for heads that take too long, at most. */
const MAX_CHECK_INTERVAL_MS = 5_000
/** A peer that vanished without a word is found by the operating system, on streams that wait for events too. */
const KEEP_ALIVE_PROBE_MS = 60_000

const nagleAdvice =
  'The upstream holds the second part of an answer back until the first is acknowledged, 40 ms, on a connection just used ' +
  '(tokio-rs/axum#2521). The proxy lets its connections rest. To end this for all clients, serve without Nagle: ' +
  'axum::serve(listener.tap_io(|tcp| { tcp.set_nodelay(true).ok(); }), app)'

/** Throws the error of listening as it is. */
export async function startProxy(options: ProxyOptions): Promise<Proxy> {
  const nagle = new DelayedAckDetector(() => options.logger.warn(nagleAdvice))
  const connections = new ConnectionPool({ ...options, nagle })
  const drains = new DrainedEndpoints()
  const admission = new Admission({ ...options, drains })
  const { traffic } = options
  const context: ForwardContext = {
    ...options,
    connections,
    closing: false,
    unattended: new Set(),
    inFlight: 0,
    latest: new Map(),
    clients: new Set(),
    upgraded: new Set()
  }
  const app = Fastify({
    loggerInstance: options.logger,
    clientErrorHandler: (error, socket) => onClientError(error, socket, traffic),
    serverFactory: () => createHttpServer(context, admission, options)
  })
  await app.listen({
    host: options.host,
    port: options.port,
    listenTextResolver: at => `Proxy listening at ${at}`
  })
  const stopCutting = cutStalled({
    clients: context.clients,
    timeoutMs: options.stallTimeoutMs,
    cut: (socket, sending) => {
      options.logger.info({ sending }, 'a client stopped in the middle')
      if (sending)
        return onClientError(Object.assign(new Error('stalled'), { code: TIMEOUT_CODE }), socket, traffic)
      traffic.refused('stalled')
      socket.resetAndDestroy()
    }
  })
  const { port, address, family } = app.server.address() as AddressInfo

  async function close(graceMs: number): Promise<void> {
    context.closing = true
    const cut = setTimeout(() => {
      context.clients.forEach(socket => socket.destroy())
      context.unattended.forEach(exchange => exchange.abort())
    }, graceMs)
    const unusedSince = new Map<Socket, number>()
    const sweep = setInterval(() => closeUnused(context, unusedSince), SWEEP_INTERVAL_MS)
    await app.close()
    // Streams that were cut are over when their sockets say so.
    while (context.inFlight > 0) await delay(1)
    clearTimeout(cut)
    clearInterval(sweep)
    stopCutting()
    connections.close()
  }

  function streamsOf(endpointId: string, sessionId: string): Stream[] {
    return [...context.latest.values()].flatMap(exchange => {
      const session = exchange.streamOf
      const isAsked =
        session && storedId(session.endpointId) === endpointId && storedId(session.sessionId) === sessionId
      return isAsked ? [{ sessionId: session.sessionId, cut: () => exchange.cut() }] : []
    })
  }

  function metrics(): PortableMetric[] {
    const { clients, upgraded } = context
    let [receivedBytes, sentBytes] = [0, 0]
    for (const { bytesRead, bytesWritten } of clients) {
      receivedBytes += bytesRead
      sentBytes += bytesWritten
    }
    return traffic.metrics({
      ...options,
      ...admission.underWay,
      connections: clients.size,
      webSockets: upgraded.size,
      upstreamOpen: connections.census.open,
      upstreamIdle: connections.idle,
      upstreamOpened: connections.census.opened,
      receivedBytes,
      sentBytes,
      upstreamStalls: nagle.found
    })
  }

  return {
    port,
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    draining: drains.endpoints,
    streamsOf,
    metrics,
    close
  }
}

function createHttpServer(context: ForwardContext, admission: Admission, timeouts: Timeouts): Server {
  const { headTimeoutMs, keepAliveTimeoutMs } = timeouts
  const options: ServerOptions & { shouldUpgradeCallback: (req: IncomingMessage) => boolean } = {
    keepAliveTimeout: keepAliveTimeoutMs,
    headersTimeout: headTimeoutMs,
    connectionsCheckingInterval: Math.min(headTimeoutMs / 4 || MAX_CHECK_INTERVAL_MS, MAX_CHECK_INTERVAL_MS),
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS,
    requestTimeout: 0,
    maxHeaderSize: maxHeaderBytes,
    noDelay: true,
    // From Node 24.9 on; before, every request with an `Upgrade` field becomes an `upgrade` event.
    shouldUpgradeCallback: isWebSocketUpgrade
  }
  const server = createServer(options, (req, res) =>
    inTurn(res, () => {
      if (admission.admit(req, res)) forward(context, req, res)
    })
  )
  // At the end it would close connections that are in use, between two requests: see `closeUnused`.
  server.closeIdleConnections = () => undefined
  server.maxConnections = admission.hardMaxConnections
  server.on('connection', (socket: Socket) => {
    // A request that is no upgrade after all has its connection read anew.
    if (context.clients.has(socket)) return
    context.clients.add(socket)
    admission.connected(socket, context.clients.size)
    socket.on('close', () => {
      context.traffic.disconnected(socket)
      context.clients.delete(socket)
      context.latest.delete(socket)
    })
  })
  // Their size is bounded; over the count node would drop fields silently.
  server.maxHeadersCount = 0
  server.on('upgrade', (req, socket: Duplex, head) => {
    assert(socket instanceof Socket)
    if (!isWebSocketUpgrade(req) || admission.admitUpgrade(req, socket))
      handleUpgrade(context, server, req, socket, head)
  })
  server.on('connect', (_req, socket: Duplex) => {
    assert(socket instanceof Socket)
    context.traffic.refused('malformed')
    if (responseInFlight(socket) === undefined) endWith(socket, 405)
    else socket.destroy()
  })
  return server
}

/** Ends the connections on which nothing has been under way for a while; the next answer on others ends them. */
function closeUnused({ clients, upgraded }: ForwardContext, unusedSince: Map<Socket, number>): void {
  const nowMs = performance.now()
  for (const socket of clients) {
    if (upgraded.has(socket) || responseInFlight(socket) !== undefined) unusedSince.delete(socket)
    else if (!unusedSince.has(socket)) unusedSince.set(socket, nowMs)
    else if (nowMs - unusedSince.get(socket)! >= UNUSED_MS) socket.destroySoon()
  }
}

/** Node's, for a head that takes too long. */
const TIMEOUT_CODE = 'ERR_HTTP_REQUEST_TIMEOUT'

const ending = new WeakSet<Socket>()

/** Bytes that are no request, a request that breaks off, a head that takes too long, or a client that leaves. */
function onClientError(error: NodeJS.ErrnoException, socket: Socket, traffic: Traffic): void {
  const answer = responseInFlight(socket)
  const leaving = error.code === 'ECONNRESET' || !socket.writable
  if (answer?.req.complete === true && !leaving && !socket.readableEnded) {
    // The bytes came behind a good request, whose answer is not theirs to replace.
    if (ending.has(socket)) return
    ending.add(socket)
    answer.once('close', () => socket.destroySoon())
  } else if (leaving || (answer !== undefined && (answer.headersSent || answer.socket === null))) {
    socket.destroy()
  } else {
    const { status, reason } = refusalOf(error.code)
    traffic.refused(reason)
    endWith(socket, status)
  }
}

function refusalOf(code: string | undefined): { status: number; reason: RefusalReason } {
  if (code === 'HPE_HEADER_OVERFLOW') return { status: 431, reason: 'too_large' }
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return { status: 413, reason: 'too_large' }
  return code === TIMEOUT_CODE ? { status: 408, reason: 'stalled' } : { status: 400, reason: 'malformed' }
}

function endWith(socket: Socket, status: number): void {
  socket.on('error', () => socket.destroy())
  socket.write(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`
  )
  socket.destroySoon()
}
