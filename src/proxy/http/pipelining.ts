// Owns the order of requests that a client sends on one connection without waiting: one is forwarded after the other,
// as the upstream would take them, so that a DELETE cannot overtake the request before it.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/** Enough for any client that pipelines at all; a stranger cannot pile up requests behind an endless stream. */
const maxWaiting = 128

/** Node reads on behind a body of this size, and so sees a client that leaves. */
const maxWaitingBody = 16_384

interface Conversation {
  last: ServerResponse
  waiting: number
}

const conversations = new WeakMap<Duplex, Conversation>()

/**
 * Calls `start` when all earlier answers on this connection are out; never, if the client leaves before, or one of them
 * ends the connection: what follows a request that was refused is not to be understood, let alone done.
 */
export function inTurn(res: ServerResponse, start: () => void): void {
  const { socket } = res.req
  const conversation = conversations.get(socket)
  if (conversation === undefined) {
    conversations.set(socket, { last: res, waiting: 0 })
    start()
    return
  }
  const { last } = conversation
  conversation.last = res
  const follow = (): void => {
    if (last.shouldKeepAlive && !socket.destroyed) start()
  }
  if (last.closed) {
    follow()
  } else if (++conversation.waiting > maxWaiting || !hasSmallBody(res.req)) {
    socket.destroy()
  } else {
    last.once('close', () => {
      conversation.waiting--
      follow()
    })
  }
}

function hasSmallBody({ headers }: IncomingMessage): boolean {
  return (
    headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) <= maxWaitingBody
  )
}

/** The request that came last on this connection; what is read from it now belongs to it. */
export function latestRequest(socket: Duplex): IncomingMessage | undefined {
  return conversations.get(socket)?.last.req
}

/** The answer that comes last of those not yet out on this connection. */
export function responseInFlight(socket: Duplex): ServerResponse | undefined {
  const last = conversations.get(socket)?.last
  return last === undefined || last.closed ? undefined : last
}
