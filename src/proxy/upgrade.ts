// Owns WebSocket upgrades, which go through http-proxy. A request for any other upgrade is handled as a plain request.
import { STATUS_CODES, type ClientRequest, type IncomingMessage, type Server } from 'node:http'
import type { Socket } from 'node:net'
import httpProxy from 'http-proxy'
import type { Traffic } from '../metrics/traffic.js'
import { monotonicNow, SECOND_MS } from '../util/time.js'
import type { Upstreams } from './balancing/upstreams.js'
import type { ConnectedClients } from './connected-clients.js'
import { bodyLength, fieldLines, requestHeaders, responseHeaders, without } from './http/headers.js'
import {
  type FailureLog,
  failureOf,
  InvalidUpstreamResponse,
  RefusedRequest,
  sendRawFailure,
  UpstreamTimeout
} from './http/proxy-errors.js'
import { refuseAmbiguousFraming } from './http/request-target.js'
import type { RoutedRequest } from './http/routed-request.js'
import { tlsServerName } from './upstream/upstream-socket.js'

/** What upgrades are forwarded with; the same for all upgrades of a proxy. */
export interface UpgradeOptions {
  upstreams: Upstreams
  /** For the head of the upstream's response, in milliseconds; 0: no limit. */
  upstreamTimeoutMs: number
  clients: ConnectedClients
  traffic: Traffic
  failures: FailureLog
}

type OnUpgrade = (response: IncomingMessage, upstreamSocket: Socket, head: Buffer) => void

/**
 * Whether the request asks for a WebSocket: with a GET that has no body, for bytes behind its head are the first ones of the
 * new protocol.
 */
export function isWebSocketUpgrade(req: IncomingMessage): boolean {
  const { upgrade, 'content-length': length, 'transfer-encoding': coding } = req.headers
  const hasBody = coding !== undefined || (length !== undefined && length !== '0')
  // RFC 9110 §7.8: not in HTTP/1.0.
  return (
    req.method === 'GET' && req.httpVersion === '1.1' && upgrade?.toLowerCase() === 'websocket' && !hasBody
  )
}

/**
 * Gives a request back to Node without its `Upgrade` field, as Node took its connection out of HTTP; the body, if any, follows
 * as it came.
 */
export function handleAsPlainRequest(
  server: Server,
  req: IncomingMessage,
  socket: Socket,
  head: Buffer
): void {
  const { rawHeaders } = req
  let text = `${req.method ?? ''} ${req.url ?? ''} HTTP/${req.httpVersion}\r\n`
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]!.toLowerCase() !== 'upgrade') text += `${rawHeaders[i]!}: ${rawHeaders[i + 1]!}\r\n`
  }
  socket.unshift(Buffer.concat([Buffer.from(`${text}\r\n`, 'latin1'), head]))
  server.emit('connection', socket)
}

/** Forwards a request for a WebSocket, and then the bytes of both sides. `head`: what the client sent behind the request. */
export function forwardUpgrade(
  request: RoutedRequest,
  socket: Socket,
  head: Buffer,
  { upstreams, upstreamTimeoutMs, clients, traffic, failures }: UpgradeOptions
): void {
  const { req } = request
  const startedAt = monotonicNow()
  let responded = false
  let switched = false
  /** The gateway, where there are several. */
  let named: string | undefined

  function onRequest(outgoing: ClientRequest, path: string, headers: Record<string, string[]>): void {
    const error = new UpstreamTimeout(`No response to the upgrade within ${upstreamTimeoutMs} ms`)
    const timer =
      upstreamTimeoutMs > 0 ? setTimeout(() => outgoing.destroy(error), upstreamTimeoutMs) : undefined
    const onResponse = ({ statusCode = 0 }: IncomingMessage): void => {
      responded = true
      clearTimeout(timer)
      traffic.responded('GET', statusCode, (monotonicNow() - startedAt) / SECOND_MS, named)
    }
    socket.once('close', () => {
      clearTimeout(timer)
      outgoing.destroy()
    })
    // http-proxy's own listeners are set by then.
    process.nextTick(() => {
      // Its own writes the body without its framing.
      outgoing.removeAllListeners('response').once('response', response => {
        if (response.statusCode === 101)
          return onError(
            new InvalidUpstreamResponse('The upstream switched protocols without saying to which')
          )
        onResponse(response)
        passOnRefusal(response, socket)
      })
      const [passOn] = outgoing.listeners('upgrade') as OnUpgrade[]
      const onUpgrade: OnUpgrade = (response, upstreamSocket, head) => {
        const { upgrade = '' } = response.headers
        if (upgrade.toLowerCase() !== 'websocket') {
          upstreamSocket.destroy()
          return onError(
            new InvalidUpstreamResponse('The upstream switched to a protocol that nobody asked for')
          )
        }
        onResponse(response)
        switched = true
        const fields = without(responseHeaders(response.rawHeaders, false), bodyLength)
        response.headers = { ...grouped(fields), connection: 'Upgrade', upgrade }
        upstreamSocket.once('close', () => socket.destroySoon())
        socket.once('close', () => upstreamSocket.destroy())
        passOn!(response, upstreamSocket, head)
      }
      outgoing.removeAllListeners('upgrade').once('upgrade', onUpgrade)
    })
    outgoing.path = path
    for (const [name, values] of Object.entries(headers)) outgoing.setHeader(name, values)
  }

  function onError(error: unknown): void {
    if (responded || socket.destroyed) socket.destroy()
    else sendRawFailure(socket, failureOf(error, request, failures, named))
  }

  clients.upgrade(socket)
  socket.on('error', () => socket.destroy())
  socket.once('end', () => {
    if (!switched) socket.destroy()
  })
  socket.setDefaultEncoding('latin1')
  try {
    refuseAmbiguousFraming(req)
    const upstream = upstreams.only ?? upstreams.choose('request')
    if (upstream === undefined)
      throw new RefusedRequest(
        'No gateway takes new work: there is none, or all are drained',
        503,
        'draining'
      )
    if (upstreams.only === undefined) named = upstream.name
    upstream.underWay++
    upstream.streams++
    socket.once('close', () => {
      upstream.underWay--
      upstream.streams--
    })
    const { basePath, url, rewrittenHost } = upstream
    const upstreamPath = request.upstreamPath(basePath)
    const headers = grouped(requestHeaders(request, rewrittenHost, undefined))
    // http-proxy sees only these two fields: it fails on `expect`, and merges repeated fields.
    req.headers = { connection: 'Upgrade', upgrade: req.headers.upgrade }
    const ssl = { servername: tlsServerName(url) }
    // `toProxy` keeps http-proxy from parsing the path, which is then set as it came.
    const proxy = httpProxy.createProxyServer({ target: url.href, toProxy: true, ssl })
    proxy.once('proxyReqWs', outgoing => onRequest(outgoing, upstreamPath, headers))
    proxy.ws(req, socket, head, {}, onError)
  } catch (error) {
    onError(error)
  }
}

/**
 * Passes on any response but 101. The connection ends with it, as what the client sent behind its request was never
 * inspected.
 */
function passOnRefusal(response: IncomingMessage, socket: Socket): void {
  const status = response.statusCode ?? 502
  const statusLine = `HTTP/1.1 ${status} ${response.statusMessage ?? STATUS_CODES[status] ?? ''}\r\n`
  const fields = fieldLines(responseHeaders(response.rawHeaders, false))
  socket.write(`${statusLine}${fields}Connection: close\r\n\r\n`)
  socket.resume()
  response.pipe(socket, { end: false })
  response.once('close', () => (response.complete ? socket.destroySoon() : socket.resetAndDestroy()))
}

/** `flat` (name, value, name, value) as http-proxy and Node take it: the values by name. */
function grouped(flat: string[]): Record<string, string[]> {
  const groups = new Map<string, [name: string, values: string[]]>()
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i]!
    const group = groups.get(name.toLowerCase())
    if (group === undefined) groups.set(name.toLowerCase(), [name, [flat[i + 1]!]])
    else group[1].push(flat[i + 1]!)
  }
  return Object.fromEntries(groups.values())
}
