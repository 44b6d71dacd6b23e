// Owns what the live monitoring needs of Socket.IO and Node beyond what they document; each use has a test.
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'socket.io'

/**
 * How many packets wait until a client reads. `writeBuffer` is private in engine.io 6 (`socket.js`): filled by `send`, emptied
 * when the transport is writable.
 */
export const unreadPackets = ({ conn }: Pick<Socket, 'conn'>): number =>
  (conn as unknown as { writeBuffer: unknown[] }).writeBuffer.length

/**
 * Hands a request to whatever listens on `server`, as if it had come there. engine.io 6 (`attach`) replaces the listeners of
 * `request` by one of its own, which takes the requests of its path.
 */
export const handOver = (server: Server, request: IncomingMessage, response: ServerResponse): void =>
  void server.emit('request', request, response)
