// Owns the end of a body whose sender got the final response already: some of it is read and dropped, and no more.
import type { IncomingMessage } from 'node:http'
import { SECOND_MS } from '../../util/time.js'

/** What may still come. Issue 16: enough for clients that look for the response only behind what they already send. */
const MAX_LATE_BYTES = 1_048_576
const MAX_LATE_MS = 5 * SECOND_MS

/**
 * To be called before the final response of a request is ended. If more of the body comes than may, the connection is closed;
 * a client that ends its body in time can go on using it.
 */
export function limitLateBody(req: IncomingMessage): void {
  const { socket } = req
  if (req.complete || socket.destroyed) return
  let bytes = 0
  const timer = setTimeout(() => socket.destroy(), MAX_LATE_MS).unref()
  // Once its response is finished, Node no longer tells the request of its connection's end.
  const onEnd = (): void => {
    clearTimeout(timer)
    socket.off('close', onEnd)
  }
  req.once('end', onEnd)
  socket.once('close', onEnd)
  // With a reader, Node does not drop the body itself.
  req.on('data', (part: Buffer) => {
    bytes += part.length
    if (bytes > MAX_LATE_BYTES) socket.destroy()
  })
}
