// Owns ending stalled clients: those that stop in the middle of a body that the proxy waits for, or of reading a response.
import type { Socket } from 'node:net'
import { type MonotonicMs, monotonicNow } from '../../util/time.js'
import { latestRequest } from '../http/pipelining.js'

/** How often to look, at least. Chosen: a client is cut at most that much too late. */
const MAX_INTERVAL_MS = 5_000

/** How far a client had come, and since when. */
interface Mark {
  /** Bytes. */
  progress: number
  since: MonotonicMs
}

/** Which clients to watch, and how to end one. */
export interface StallOptions {
  clients: Iterable<Socket>
  /** 0: none is cut. */
  timeoutMs: number
  /** Ends a client. `sending`: it owes the rest of a body; otherwise it does not read its response. */
  cut: (socket: Socket, sending: boolean) => void
}

/**
 * Looks at all clients, at least four times per timeout, and cuts those that made no progress for so long. A stream that waits
 * for an event, and an upload that waits for the upstream, are no stalls. Returns a function that ends this.
 */
export function cutStalled({ clients, timeoutMs, cut }: StallOptions): () => void {
  if (timeoutMs === 0) return () => undefined
  const marks = new WeakMap<Socket, Mark>()
  const look = (): void => {
    const now = monotonicNow()
    for (const socket of clients) {
      const sending = owesBody(socket)
      if (!sending && socket.writableLength === 0) {
        marks.delete(socket)
        continue
      }
      const progress = sending ? socket.bytesRead : socket.bytesWritten - socket.writableLength
      const mark = marks.get(socket)
      if (mark?.progress !== progress) marks.set(socket, { progress, since: now })
      else if (now - mark.since >= timeoutMs) cut(socket, sending)
    }
  }
  const timer = setInterval(look, Math.min(timeoutMs / 4, MAX_INTERVAL_MS)).unref()
  return () => clearInterval(timer)
}

/** Whether the proxy has passed on all that came of a body, and the rest is still missing. */
function owesBody(socket: Socket): boolean {
  const req = latestRequest(socket)
  return req !== undefined && !req.complete && !req.isPaused() && req.readableLength === 0
}
