// Owns the connections that the primary has handed to a worker which died before it took them: they are cut, so that their
// clients try again. Node's primary keeps each connection open until the worker reports that it took it.
//
// What Node does not document, and how it works in Node 20, 22 and 24 (lib/internal/cluster): a connection is sent as a message
// `newconn` with a number `seq`, and the worker's report has that number as `ack`.
import type { Worker } from 'node:cluster'

/** Messages of Node's cluster to and from a worker, as far as it matters here. */
interface ClusterMessage {
  act?: string
  seq?: number
  ack?: number
}

interface Handle {
  close(): void
}

type Send = (message: ClusterMessage, handle?: Handle, ...rest: unknown[]) => boolean

/** To be called when the worker's process has just been started. */
export function cutWhatIsNotTaken(worker: Worker): void {
  const handed = new Map<number, Handle>()
  const child = worker.process as unknown as { send: Send }
  const send = child.send.bind(child)
  child.send = (message, handle, ...rest) => {
    if (message.act === 'newconn' && message.seq !== undefined && handle) handed.set(message.seq, handle)
    return send(message, handle, ...rest)
  }
  worker.process.on('internalMessage', ({ ack }: ClusterMessage) => {
    if (ack !== undefined) handed.delete(ack)
  })
  worker.process.once('exit', () => {
    // Reports that came before are read first. To close what is closed already changes nothing.
    setImmediate(() => handed.forEach(handle => handle.close()))
  })
}
