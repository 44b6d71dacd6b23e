// Owns the connections to the upstream: a stack of idle ones, each an undici `Client` with one socket.
//
// No undici `Pool`: it looks at all its clients for each request, and with a cap it hangs once streams hold it.
import { isIP, type Socket } from 'node:net'
import { buildConnector, Client } from 'undici'
import { maxHeaderBytes } from './headers.js'

/** Below the 5 s after which uvicorn and Node close an idle connection: a request must not meet that close. */
const idleTimeoutMs = 4_000

export interface ConnectionsOptions {
  upstream: URL
  connectTimeoutMs: number
}

export class Connections {
  readonly #origin: string
  readonly #connect: buildConnector.connector
  readonly #idle: Connection[] = []

  constructor({ upstream, connectTimeoutMs }: ConnectionsOptions) {
    const connect = buildConnector({ timeout: connectTimeoutMs })
    const servername = tlsServerName(upstream)
    this.#origin = upstream.origin
    this.#connect = (options, callback) => connect({ ...options, servername }, callback)
  }

  /** The connection used last, so that those not needed grow old, or a new one; the caller has it for itself. */
  take(): Connection {
    return this.#idle.pop() ?? this.#open()
  }

  /** Gives back a connection whose answer is complete. */
  release(connection: Connection): void {
    connection.paused = false
    this.#idle.push(connection)
  }

  close(): void {
    for (const { client } of this.#idle.splice(0)) void client.destroy()
  }

  #open(): Connection {
    const connection = new Connection(this.#origin, this.#connect)
    connection.client.on('disconnect', () => {
      const at = this.#idle.indexOf(connection)
      if (at !== -1) this.#idle.splice(at, 1)
    })
    return connection
  }
}

export class Connection {
  readonly client: Client
  /** It was reset, which undici takes for the end of an answer that has no length. */
  broken = false
  /**
   * Nothing more is read from the socket. undici's own `controller.pause()` pauses its parser, and an answer that ends
   * then, by closing the connection, fails an assertion that ends the process (undici 7.30).
   */
  paused = false
  #socket: Socket | undefined

  constructor(origin: string, connect: buildConnector.connector) {
    this.client = new Client(origin, {
      connect: (options, callback) => {
        connect(options, (...result) => {
          if (result[1]) this.#adopt(result[1])
          callback(...result)
        })
      },
      keepAliveTimeout: idleTimeoutMs,
      maxHeaderSize: maxHeaderBytes,
      bodyTimeout: 0
    })
  }

  resume(): void {
    this.paused = false
    if (this.#socket?.destroyed === false) this.#socket.emit('readable')
  }

  #adopt(socket: Socket): void {
    this.#socket = socket
    this.broken = false
    const read = socket.read.bind(socket)
    socket.read = size => (this.paused ? null : (read(size) as unknown))
    socket.prependListener('error', () => (this.broken = true))
    // libuv reports the end of the data before a reset as a clean end, but then there is no peer any more.
    socket.prependListener('end', () => (this.broken = socket.remoteAddress === undefined))
  }
}

/** The name for TLS is the upstream's, not the `Host` that is passed on; an IP address is none (RFC 6066 §3). */
export function tlsServerName(upstream: URL): string {
  const hostname = upstream.hostname.replace(/^\[|\]$/g, '')
  return isIP(hostname) ? '' : hostname
}
