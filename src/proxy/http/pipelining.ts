// Owns the order of requests that a client sends on one connection without waiting: one is forwarded after the other,
// as the upstream would take them, so that a DELETE cannot overtake the request before it.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { keepsConnection } from './node-internals.js'

/**
 * The most requests that wait on one connection. Chosen: enough for any client that pipelines at all, while nobody can
 * pile up requests behind an endless stream.
 */
const maxWaiting = 128

/**
 * The longest body of a request that waits, in bytes: Node's default buffer. While a body fits into it, Node reads on behind
 * the body, and so notices a client that leaves.
 */
const maxWaitingBody = 16_384

interface Conversation {
  last: ServerResponse
  waiting: number
}

const conversations = new WeakMap<Duplex, Conversation>()

/**
 * Calls `start` when all earlier responses on this connection are out. It is never called if the client leaves before, or if
 * one of those responses ends the connection: bytes behind a request that was refused may not be a request at all.
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
    if (keepsConnection(last) && !socket.destroyed) start()
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

/** The request that came last on this connection: what is read from the connection now belongs to it. */
export function latestRequest(socket: Duplex): IncomingMessage | undefined {
  return conversations.get(socket)?.last.req
}

/** The last of the responses on this connection that are not yet out; undefined if all are. */
export function responseInFlight(socket: Duplex): ServerResponse | undefined {
  const last = conversations.get(socket)?.last
  return last === undefined || last.closed ? undefined : last
}
