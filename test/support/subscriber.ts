// Owns a front end of the monitoring interface: a Socket.IO client that keeps what it was told.
import { EventEmitter, once } from 'node:events'
import { io, type Socket } from 'socket.io-client'
import type {
  ClosedNotice,
  ConnectionStats,
  OpenedNotice
} from '../../src/admin/schemas/monitoring-responses.js'

/** The data of `mcp_connections_data`. */
export type Stats = ConnectionStats & { timestamp: string }

export interface Ack {
  status: string
  room?: string
  timestamp?: string
  message?: string
}

export type Notice =
  | ({ event: 'mcp_connection_established' } & OpenedNotice)
  | ({ event: 'mcp_connection_closed' } & ClosedNotice)

export class Subscriber {
  readonly socket: Socket
  readonly data: Stats[] = []
  readonly notices: Notice[] = []
  readonly #heard = new EventEmitter()

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('mcp_connections_data', (stats: Stats) => {
      this.data.push(stats)
      this.#heard.emit('something')
    })
    for (const event of ['mcp_connection_established', 'mcp_connection_closed'] as const)
      socket.on(event, (notice: object) => {
        this.notices.push({ event, ...notice } as Notice)
        this.#heard.emit('something')
      })
  }

  /** Rejects when the handshake is refused. */
  static async connect(adminUrl: string, options: Parameters<typeof io>[1] = {}): Promise<Subscriber> {
    const socket = io(`${adminUrl}/monitoring`, { forceNew: true, reconnection: false, ...options })
    const subscriber = new Subscriber(socket)
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('connect_error', error => {
        socket.close()
        reject(error)
      })
    })
    return subscriber
  }

  subscribe(payload: unknown = {}): Promise<Ack> {
    return this.socket.emitWithAck('subscribe_mcp_connections', payload) as Promise<Ack>
  }

  unsubscribe(payload: unknown = {}): Promise<Ack> {
    return this.socket.emitWithAck('unsubscribe_mcp_connections', payload) as Promise<Ack>
  }

  /** Resolves with the newest data once they are as wanted. */
  async dataWhere(isWanted: (stats: Stats) => boolean): Promise<Stats> {
    for (;;) {
      const last = this.data.at(-1)
      if (last && isWanted(last)) return last
      await once(this.#heard, 'something')
    }
  }

  /** Resolves with a notice as wanted, told already or still to come. */
  async notice(isWanted: (notice: Notice) => boolean): Promise<Notice> {
    for (;;) {
      const found = this.notices.find(isWanted)
      if (found) return found
      await once(this.#heard, 'something')
    }
  }

  close(): void {
    this.socket.close()
  }
}
