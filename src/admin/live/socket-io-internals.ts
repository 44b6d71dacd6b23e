// Owns what the live monitoring needs of Socket.IO and Node beyond what they document; each use has a test.
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'socket.io'

/**
 * How many packets wait until a client reads. `writeBuffer` is private in engine.io 6 (`socket.js`): filled by `send`, emptied
 * when the transport is writable.
 */
export const unreadPackets = (connection: Socket['conn']): number =>
  (connection as unknown as { writeBuffer: unknown[] }).writeBuffer.length

/**
 * Whether all that was sent is out, to the system at least, and a long poll waits where there is no WebSocket. `writable` is false in
 * engine.io 6 from `send` until then.
 */
export const doesRead = (connection: Socket['conn']): boolean =>
  (connection.transport as unknown as { writable: boolean }).writable && unreadPackets(connection) === 0

/** The `sid` by which requests of engine.io name their connection; private in its types, and part of its protocol. */
export const sidOf = (connection: Socket['conn']): string => (connection as unknown as { id: string }).id

/** Ends a request of engine.io before it is handled: with a response, or where it is an upgrade by closing its connection. */
export function refuse(response: ServerResponse, message: string): void {
  response.writeHead(403, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ code: 4, message }))
}

/**
 * Hands a request to whatever listens on `server`, as if it had come there. engine.io 6 (`attach`) replaces the listeners of
 * `request` by one of its own, which takes the requests of its path.
 */
export const handOver = (server: Server, request: IncomingMessage, response: ServerResponse): void =>
  void server.emit('request', request, response)
