// Owns WebSocket upgrades, which go through http-proxy; a request for any other upgrade is answered as a plain one.
import { STATUS_CODES, type ClientRequest, type IncomingMessage, type Server } from 'node:http'
import type { Socket } from 'node:net'
import httpProxy from 'http-proxy'
import type { ForwardContext } from './forward.js'
import { requestHeaders, responseHeaders } from './http/headers.js'
import { responseInFlight } from './http/pipelining.js'
import { failureOf, InvalidUpstreamResponse, sendRawFailure, UpstreamTimeout } from './http/proxy-errors.js'
import { readTarget } from './http/request-target.js'
import { tlsServerName } from './upstream/upstream-socket.js'

/** A GET without a body, for bytes behind its head are the client's half of the new protocol. */
export function isWebSocketUpgrade(req: IncomingMessage): boolean {
  const { upgrade, 'content-length': length, 'transfer-encoding': coding } = req.headers
  const hasBody = coding !== undefined || (length !== undefined && length !== '0')
  // RFC 9110 §7.8: not in HTTP/1.0.
  return (
    req.method === 'GET' && req.httpVersion === '1.1' && upgrade?.toLowerCase() === 'websocket' && !hasBody
  )
}

/** Takes over the connection of a request that node took out of HTTP because it has an `Upgrade` field. */
export function handleUpgrade(
  context: ForwardContext,
  server: Server,
  req: IncomingMessage,
  socket: Socket,
  head: Buffer
): void {
  // Node no longer reads from this connection, so a client that leaves while an answer is under way would not be seen.
  if (responseInFlight(socket) !== undefined) socket.destroy()
  else if (isWebSocketUpgrade(req)) forwardUpgrade(context, req, socket, head)
  else answerAsPlainRequest(server, req, socket, head)
}

/** Gives the request back to node without its `Upgrade` field; the body, if any, follows as it came. */
function answerAsPlainRequest(server: Server, req: IncomingMessage, socket: Socket, head: Buffer): void {
  const { rawHeaders } = req
  let text = `${req.method ?? ''} ${req.url ?? ''} HTTP/${req.httpVersion}\r\n`
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]!.toLowerCase() !== 'upgrade') text += `${rawHeaders[i]!}: ${rawHeaders[i + 1]!}\r\n`
  }
  socket.unshift(Buffer.concat([Buffer.from(`${text}\r\n`, 'latin1'), head]))
  server.emit('connection', socket)
}

function forwardUpgrade(context: ForwardContext, req: IncomingMessage, socket: Socket, head: Buffer): void {
  const { upstream, rewriteHost, upstreamTimeoutMs, upgraded, traffic } = context
  const startedAt = performance.now()
  let answered = false
  let switched = false

  function onRequest(request: ClientRequest, path: string, headers: Record<string, string[]>): void {
    const error = new UpstreamTimeout(`No answer to the upgrade within ${upstreamTimeoutMs} ms`)
    const timer =
      upstreamTimeoutMs > 0 ? setTimeout(() => request.destroy(error), upstreamTimeoutMs) : undefined
    const onAnswer = ({ statusCode = 0 }: IncomingMessage): void => {
      answered = true
      clearTimeout(timer)
      traffic.answered('GET', statusCode, (performance.now() - startedAt) / 1_000)
    }
    socket.once('close', () => {
      clearTimeout(timer)
      request.destroy()
    })
    // In place of http-proxy's own listener, which is set by then: it writes the body without its framing.
    process.nextTick(() => {
      request.removeAllListeners('response').once('response', answer => {
        if (answer.statusCode === 101)
          return onError(
            new InvalidUpstreamResponse('The upstream switched protocols without saying to which')
          )
        onAnswer(answer)
        refuse(answer, socket)
      })
    })
    request.once('upgrade', (answer, upstreamSocket) => {
      onAnswer(answer)
      switched = true
      const { upgrade } = answer.headers
      answer.headers = {
        ...grouped(responseHeaders(answer.rawHeaders, false)),
        connection: 'Upgrade',
        upgrade
      }
      upstreamSocket.once('close', () => socket.destroySoon())
      socket.once('close', () => upstreamSocket.destroy())
    })
    request.path = path
    for (const [name, values] of Object.entries(headers)) request.setHeader(name, values)
  }

  function onError(error: unknown): void {
    if (answered || socket.destroyed) socket.destroy()
    else sendRawFailure(socket, failureOf(error, req, context))
  }

  upgraded.add(socket)
  socket.once('close', () => upgraded.delete(socket))
  socket.on('error', () => socket.destroy())
  socket.once('end', () => {
    if (!switched) socket.destroy()
  })
  socket.setDefaultEncoding('latin1')
  try {
    const { authority, upstreamPath } = readTarget(req, upstream)
    const rewrittenHost = rewriteHost ? upstream.host : undefined
    const headers = grouped(requestHeaders(req, { authority, rewrittenHost, bodyBytes: undefined }))
    // All that http-proxy is to see: it fails on `expect`, and merges repeated fields.
    req.headers = { connection: 'Upgrade', upgrade: req.headers.upgrade }
    const ssl = { servername: tlsServerName(upstream) }
    // `toProxy`: not to parse the path, which is then set as it came.
    const proxy = httpProxy.createProxyServer({ target: upstream.href, toProxy: true, ssl })
    proxy.once('proxyReqWs', request => onRequest(request, upstreamPath, headers))
    proxy.ws(req, socket, head, {}, onError)
  } catch (error) {
    onError(error)
  }
}

/** Any answer but 101. The connection ends with it: what the client sent behind its request was never inspected. */
function refuse(answer: IncomingMessage, socket: Socket): void {
  const status = answer.statusCode ?? 502
  let text = `HTTP/1.1 ${status} ${answer.statusMessage ?? STATUS_CODES[status] ?? ''}\r\n`
  for (const [name, values] of Object.entries(grouped(responseHeaders(answer.rawHeaders, false)))) {
    for (const value of values) text += `${name}: ${value}\r\n`
  }
  socket.write(`${text}Connection: close\r\n\r\n`)
  socket.resume()
  answer.pipe(socket, { end: false })
  answer.once('close', () => (answer.complete ? socket.destroySoon() : socket.resetAndDestroy()))
}

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
