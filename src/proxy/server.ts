// Owns the proxy's listener and its life: Fastify opens and closes it, node's server hands requests to `forward`.
import assert from 'node:assert'
import { createServer, STATUS_CODES, type IncomingMessage, type Server, type ServerOptions } from 'node:http'
import { Socket, type AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import Fastify, { type FastifyBaseLogger } from 'fastify'
import type { Observe } from '../sessions/observation.js'
import { Connections } from './connections.js'
import { forward, type ForwardContext } from './forward.js'
import { maxHeaderBytes } from './headers.js'
import { answerInFlight, inTurn } from './pipelining.js'
import { handleUpgrade, isWebSocketUpgrade } from './upgrade.js'

export interface ProxyOptions {
  upstream: URL
  host: string
  port: number
  /** Send the upstream's authority as `Host` instead of the client's. */
  rewriteHost: boolean
  /** To the headers of an answer; there is no limit on bodies and streams. */
  upstreamTimeoutMs: number
  connectTimeoutMs: number
  observe: Observe
  logger: FastifyBaseLogger
}

export interface Proxy {
  readonly port: number
  readonly url: string
  /** Stops accepting, lets requests in flight finish, and cuts what is left (streams) after `graceMs`. */
  close(graceMs: number): Promise<void>
}

/** Longer than the idle time of usual load balancers, which should be the ones to close. */
const keepAliveTimeoutMs = 72_000
const headersTimeoutMs = 60_000

/** Throws the error of listening as it is. */
export async function startProxy(options: ProxyOptions): Promise<Proxy> {
  const connections = new Connections(options)
  const context: ForwardContext = {
    ...options,
    connections,
    closing: false,
    inFlight: 0,
    upgraded: new Set()
  }
  // One, or one an address where the host is `localhost`.
  const servers: Server[] = []
  const app = Fastify({
    loggerInstance: options.logger,
    clientErrorHandler: onClientError,
    serverFactory: () => {
      const server = createHttpServer(context)
      servers.push(server)
      return server
    }
  })
  await app.listen({
    host: options.host,
    port: options.port,
    listenTextResolver: at => `Proxy listening at ${at}`
  })
  const { port, address, family } = app.server.address() as AddressInfo

  async function close(graceMs: number): Promise<void> {
    context.closing = true
    const cut = setTimeout(() => {
      for (const server of servers) server.closeAllConnections()
      for (const socket of context.upgraded) socket.destroy()
    }, graceMs)
    // Answers whose head was out already leave their connection open.
    const sweep = setInterval(() => servers.forEach(server => server.closeIdleConnections()), 50)
    await app.close()
    // Streams that were cut are over when their sockets say so.
    while (context.inFlight > 0) await delay(1)
    clearTimeout(cut)
    clearInterval(sweep)
    connections.close()
  }

  return { port, url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`, close }
}

function createHttpServer(context: ForwardContext): Server {
  const options: ServerOptions & { shouldUpgradeCallback: (req: IncomingMessage) => boolean } = {
    keepAliveTimeout: keepAliveTimeoutMs,
    headersTimeout: headersTimeoutMs,
    requestTimeout: 0,
    maxHeaderSize: maxHeaderBytes,
    noDelay: true,
    // From Node 24.9 on; before, every request with an `Upgrade` field becomes an `upgrade` event.
    shouldUpgradeCallback: isWebSocketUpgrade
  }
  const server = createServer(options, (req, res) => inTurn(res, () => forward(context, req, res)))
  // Their size is bounded; over the count node would drop fields silently.
  server.maxHeadersCount = 0
  server.on('upgrade', (req, socket: Duplex, head) => {
    assert(socket instanceof Socket)
    handleUpgrade(context, server, req, socket, head)
  })
  server.on('connect', (_req, socket: Duplex) => {
    assert(socket instanceof Socket)
    endWith(socket, 405)
  })
  return server
}

const ending = new WeakSet<Socket>()

/** Bytes that are no request, a request that breaks off, a head that takes too long, or a client that leaves. */
function onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  const answer = answerInFlight(socket)
  const leaving = error.code === 'ECONNRESET' || !socket.writable
  if (answer?.req.complete === true && !leaving && !socket.readableEnded) {
    // The bytes came behind a good request, whose answer is not theirs to replace.
    if (ending.has(socket)) return
    ending.add(socket)
    answer.once('close', () => socket.destroySoon())
  } else if (leaving || (answer !== undefined && (answer.headersSent || answer.socket === null))) {
    socket.destroy()
  } else {
    endWith(socket, statusOf(error.code))
  }
}

function statusOf(code: string | undefined): number {
  if (code === 'HPE_HEADER_OVERFLOW') return 431
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return 413
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400
}

function endWith(socket: Socket, status: number): void {
  socket.on('error', () => socket.destroy())
  socket.write(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`
  )
  socket.destroySoon()
}
