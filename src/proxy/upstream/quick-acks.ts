// Owns quick acknowledgements (`TCP_QUICKACK`): what was read of a response is acknowledged at once, where the platform can.
//
// With them no response waits for a delayed ACK (delayed-acks.ts says why one would), from the first request on. Node cannot set
// this option, which the kernel forgets again and again; koffi calls the C library. Only its packages of compiled code are
// installed, which run no script at the installation as `koffi` does. Measured: 3 ms and 2 MB at the start, 0.4 µs a call.
import { createRequire } from 'node:module'
import { Socket } from 'node:net'
import { reasonOf } from '../../util/errors.js'
import type { Log } from '../../util/log.js'
import { descriptorOf } from '../http/node-internals.js'

/** Acknowledges at once what was read from this connection. */
export type Acknowledge = (socket: Socket) => void

/** What is used of koffi: functions of the C library by their prototypes. */
interface Koffi {
  load(path: null): { func(prototype: string): (...args: unknown[]) => number }
}

// The numbers of Linux.
const AF_INET = 2
const SOCK_STREAM = 1
const IPPROTO_TCP = 6
const TCP_QUICKACK = 12
const on = new Int32Array([1])

/** Undefined where the platform or the installation has no quick acknowledgements; the log says why. */
export function quickAcks(log: Log, arch: string = process.arch): Acknowledge | undefined {
  try {
    if (process.platform !== 'linux') throw new Error(`${process.platform} has no TCP_QUICKACK`)
    const koffi = createRequire(import.meta.url)(`@koromix/koffi-linux-${arch}`) as Koffi
    const library = koffi.load(null)
    const setsockopt = library.func('int setsockopt(int, int, int, const void *, unsigned int)')
    const socket = library.func('int socket(int, int, int)')
    const acknowledge = (fd: number): number => setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, on, on.byteLength)
    probe(socket(AF_INET, SOCK_STREAM, 0), acknowledge)
    return connection => {
      const fd = descriptorOf(connection)
      if (fd !== undefined) acknowledge(fd)
    }
  } catch (error) {
    const [reason] = reasonOf(error).split('\n')
    log.info({ reason }, 'the upstream cannot be acknowledged at once; it is watched for stalls instead')
    return undefined
  }
}

/** Throws unless Node tells the descriptor of a socket, and the system sets the option there. */
function probe(fd: number, acknowledge: (fd: number) => number): void {
  const socket = new Socket({ fd })
  try {
    if (descriptorOf(socket) !== fd) throw new Error('Node does not tell the descriptor of a socket')
    if (acknowledge(fd) !== 0) throw new Error('the system does not set TCP_QUICKACK')
  } finally {
    socket.destroy()
  }
}
