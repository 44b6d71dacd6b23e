// Owns the end of clients that stop in the middle: of sending a body that the proxy waits for, or of reading an answer.
import type { Socket } from 'node:net'
import { latestRequest } from '../http/pipelining.js'

const MAX_INTERVAL_MS = 5_000

interface Mark {
  progress: number
  atMs: number
}

export interface StallOptions {
  clients: Iterable<Socket>
  timeoutMs: number
  /** `sending`: the client owes the rest of a body; otherwise it does not take its answer. */
  cut: (socket: Socket, sending: boolean) => void
}

/**
 * Looks at all clients, at least four times a timeout, and cuts those without progress for that long. A stream that
 * waits for an event, and an upload that waits for the upstream, are no stalls. Answers how to stop it.
 */
export function cutStalled({ clients, timeoutMs, cut }: StallOptions): () => void {
  if (timeoutMs === 0) return () => undefined
  const marks = new WeakMap<Socket, Mark>()
  const look = (): void => {
    const nowMs = performance.now()
    for (const socket of clients) {
      const sending = owesBody(socket)
      if (!sending && socket.writableLength === 0) {
        marks.delete(socket)
        continue
      }
      const progress = sending ? socket.bytesRead : socket.bytesWritten - socket.writableLength
      const mark = marks.get(socket)
      if (mark?.progress !== progress) marks.set(socket, { progress, atMs: nowMs })
      else if (nowMs - mark.atMs >= timeoutMs) cut(socket, sending)
    }
  }
  const timer = setInterval(look, Math.min(timeoutMs / 4, MAX_INTERVAL_MS)).unref()
  return () => clearInterval(timer)
}

/** The proxy has passed on all it got of a body, and it is not all. */
function owesBody(socket: Socket): boolean {
  const req = latestRequest(socket)
  return req !== undefined && !req.complete && !req.isPaused() && req.readableLength === 0
}
