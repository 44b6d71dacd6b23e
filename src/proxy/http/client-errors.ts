// Owns how a connection ends on which Node's parser or a timeout finds an error of the client.
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { RefusalReason, Traffic } from '../../metrics/traffic.js'
import { responseInFlight } from './pipelining.js'

/** Node's code for a head that takes too long; also ours for a body that stops. */
const TIMEOUT_CODE = 'ERR_HTTP_REQUEST_TIMEOUT'

const ending = new WeakSet<Socket>()

/**
 * Handles `clientError` of Node: bytes that are no request, a request that breaks off, a head that takes too long, or a
 * client that leaves. Refuses and counts what is refused, unless a response is under way that the refusal would garble.
 */
export function onClientError(error: NodeJS.ErrnoException, socket: Socket, traffic: Traffic): void {
  const response = responseInFlight(socket)
  const isLeaving = error.code === 'ECONNRESET' || !socket.writable
  if (response?.req.complete === true && !isLeaving && !socket.readableEnded) {
    // The bytes came behind a good request, whose response is not theirs to replace.
    if (ending.has(socket)) return
    ending.add(socket)
    response.once('close', () => socket.destroySoon())
  } else if (isLeaving || (response !== undefined && (response.headersSent || response.socket === null))) {
    socket.destroy()
  } else {
    const { status, reason } = refusalOf(error.code)
    traffic.refused(reason)
    endWith(socket, status)
  }
}

/** Ends the connection of a client that stopped in the middle of a body that it sends, with `408` if that can be said. */
export const onBodyTimeout = (socket: Socket, traffic: Traffic): void =>
  onClientError(Object.assign(new Error('stalled'), { code: TIMEOUT_CODE }), socket, traffic)

/** Refuses `CONNECT`: this is no forward proxy. */
export function onConnect(socket: Socket, traffic: Traffic): void {
  traffic.refused('malformed')
  if (responseInFlight(socket) === undefined) endWith(socket, 405)
  else socket.destroy()
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
