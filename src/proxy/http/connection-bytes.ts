// Owns how many bytes passed on the connection of a client for each of its requests.
import type { Socket } from 'node:net'

/** Bytes as a relay between client and proxy would count them: heads, bodies and framing. */
export interface PassedBytes {
  received: number
  /** Given to the operating system, or about to be. */
  sent: number
}

/** By connection, what was taken of it. */
const taken = new WeakMap<Socket, PassedBytes>()

/**
 * The bytes since the last call for this connection. Each is told once: all that came and went belongs to the request whose end
 * is noted next. Where a client sends its next request before the response, the first bytes of that are among them.
 */
export function takeBytes(socket: Socket): PassedBytes {
  const { bytesRead, bytesWritten } = socket
  const before = taken.get(socket)
  if (before === undefined) {
    taken.set(socket, { received: bytesRead, sent: bytesWritten })
    return { received: bytesRead, sent: bytesWritten }
  }
  const passed = { received: bytesRead - before.received, sent: bytesWritten - before.sent }
  before.received = bytesRead
  before.sent = bytesWritten
  return passed
}
