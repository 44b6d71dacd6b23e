// Owns the live connection to one room of the monitoring namespace at a time; it connects again when the connection breaks.
import { io, type Socket } from 'socket.io-client'
import type {
  ClosedNotice,
  ConnectionInfo,
  ConnectionStats,
  OpenedNotice
} from '../admin/schemas/monitoring-responses.js'

/** How soon a subscription that failed is tried again. Chosen. */
const RETRY_MS = 2_000
/** How long a subscription may take before the page is filled without it. Chosen: readers take it for immediate. */
const PATIENCE_MS = 1_000

/** What comes over the live connection. */
export interface LiveHandlers {
  /** The subscription began, for the first time or again: what is shown may be out of date. */
  onJoined: () => void
  /** The connection is up, but there is no subscription: the store is away. */
  onWaiting: () => void
  onLost: () => void
  /** The connection was refused, so that it does not come back by itself. */
  onRefused: () => void
  onStats: (stats: ConnectionStats) => void
  onOpened: (connection: ConnectionInfo) => void
  onClosed: (closed: ClosedNotice) => void
}

/** Closed until `connect` is called. */
export class Live {
  readonly #socket: Socket
  readonly #handlers: LiveHandlers
  /** An endpoint, or undefined for all. */
  #room: string | undefined

  constructor(handlers: LiveHandlers, token: () => string | undefined) {
    this.#handlers = handlers
    this.#socket = io('/monitoring', {
      autoConnect: false,
      transports: ['websocket', 'polling'],
      tryAllTransports: true,
      reconnectionDelay: 500,
      reconnectionDelayMax: 5_000,
      auth: answer => answer({ token: token() })
    })
    this.#socket.on('connect', () => void this.#join())
    this.#socket.on('disconnect', reason => {
      handlers.onLost()
      if (reason === 'io server disconnect') this.#retry()
    })
    this.#socket.on('connect_error', () => {
      handlers.onLost()
      if (!this.#socket.active) handlers.onRefused()
    })
    this.#socket.on('mcp_connections_data', handlers.onStats)
    this.#socket.on('mcp_connection_established', ({ connection }: OpenedNotice) =>
      handlers.onOpened(connection)
    )
    this.#socket.on('mcp_connection_closed', handlers.onClosed)
  }

  /** Whether the connection is up. */
  get isConnected(): boolean {
    return this.#socket.connected
  }

  /** Connects, and subscribes once that is done. */
  connect(): void {
    this.#socket.connect()
  }

  /** Ends the connection, until `connect` is called again. */
  close(): void {
    this.#socket.disconnect()
  }

  /** Watches this endpoint instead, or all of them. */
  async watch(endpointId: string | undefined): Promise<void> {
    const left = this.#room
    this.#room = endpointId
    if (!this.isConnected) return
    await this.#send('unsubscribe_mcp_connections', left)
    await this.#join()
  }

  async #join(): Promise<void> {
    const room = this.#room
    const late = setTimeout(() => this.#handlers.onWaiting(), PATIENCE_MS)
    const joined = await this.#send('subscribe_mcp_connections', room)
    clearTimeout(late)
    if (room !== this.#room) return
    if (joined) return this.#handlers.onJoined()
    if (this.isConnected) this.#handlers.onWaiting()
    this.#retry()
  }

  async #send(event: string, serverId: string | undefined): Promise<boolean> {
    try {
      const answer: unknown = await this.#socket.timeout(5_000).emitWithAck(event, { serverId })
      return (answer as { status: string }).status !== 'error'
    } catch {
      return false
    }
  }

  #retry(): void {
    setTimeout(() => {
      if (this.isConnected) void this.#join()
      else this.#socket.connect()
    }, RETRY_MS)
  }
}
