// Owns the Socket.IO side of the monitoring interface: who may join, rooms to subscribe to, and what they are told.
import { setImmediate } from 'node:timers/promises'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { Server, type Socket } from 'socket.io'
import Type from 'typebox'
import { Check } from 'typebox/value'
import type { FeedChange, StoreReader } from '../../ledger/store-port.js'
import { storedId } from '../../mcp/stored-ids.js'
import { ThrottledWarning } from '../../util/log.js'
import { foreignness } from '../access/origins.js'
import { bearerToken, type TokenGate } from '../access/tokens.js'
import type { Monitor } from '../monitor.js'
import { toNotice } from '../views.js'
import { FeedFollower } from './feed-follower.js'
import { Rooms } from './rooms.js'

/** Connections that a pushed list holds: the newest. The counts beside it are those of all. */
export const PUSHED_CONNECTIONS = 200
const MAX_ROOMS_OF_A_CLIENT = 100
const MAX_CLIENTS = 5_000
const MAX_MESSAGE_BYTES = 2_000_000
const JOIN_TIMEOUT_MS = 10_000
/** One who leaves this many messages unread is not reading. */
const MAX_UNREAD = 256
/** Notices times readers, a second: what is over that is left out. */
const MAX_SENDS_PER_SECOND = 10_000
/** Sent without a pause for other work of the event loop. */
const SENDS_AT_ONCE = 200

const ROOM_PREFIX = 'mcp_connections_'
const ALL = `${ROOM_PREFIX}default`

const Subscription = Type.Object({ serverId: Type.Optional(Type.String({ minLength: 1, maxLength: 8192 })) })
const EXPECTED =
  'give an object {serverId?}, serverId being an endpoint id of 1 to 8192 visible ASCII characters'

export interface LiveOptions {
  store: StoreReader
  monitor: Monitor
  gate: TokenGate
  allowedOrigins: readonly string[]
  logger: FastifyBaseLogger
}

export class LiveMonitoring {
  readonly #options: LiveOptions
  readonly #io: Server
  readonly #rooms: Rooms
  readonly #follower: FeedFollower
  readonly #overflow: ThrottledWarning
  /** Notices times readers within a second. */
  #sent = { second: 0, sends: 0 }

  constructor(app: FastifyInstance, options: LiveOptions) {
    const { gate, allowedOrigins, monitor, store, logger } = options
    this.#options = options
    this.#overflow = new ThrottledWarning(logger)
    const storeWarning = new ThrottledWarning(logger)
    this.#io = new Server(app.server, {
      serveClient: false,
      cors: { origin: [...allowedOrigins] },
      maxHttpBufferSize: MAX_MESSAGE_BYTES,
      connectTimeout: JOIN_TIMEOUT_MS,
      allowRequest: ({ headers }, answer) => {
        const reason = foreignness(headers, { allowed: allowedOrigins, onlyLoopback: gate.isOpen })
        const full = this.#io.engine.clientsCount >= MAX_CLIENTS ? 'too many clients' : undefined
        answer(reason ?? full, reason === undefined && full === undefined)
      }
    })
    // Socket.IO takes its requests before the routes see them, at the first server only: a name with two addresses, as
    // localhost may be, has a second one.
    app.addHook('onRequest', ({ raw }, reply, done) => {
      if (!raw.url?.startsWith('/socket.io/')) return done()
      reply.hijack()
      app.server.emit('request', raw, reply.raw)
    })
    this.#io.use((_socket, next) =>
      next(new Error('there is nothing here: connect to the namespace /monitoring'))
    )
    const namespace = this.#io.of('/monitoring')
    namespace.use((socket, next) => {
      const { auth, headers, address } = socket.handshake
      const token: unknown = auth.token
      try {
        gate.admit(typeof token === 'string' ? token : bearerToken(headers.authorization), 'read', address)
        next()
      } catch (error) {
        next(error as Error)
      }
    })
    this.#rooms = new Rooms({
      stats: endpointId => monitor.stats(endpointId === undefined ? {} : { endpointId }, PUSHED_CONNECTIONS),
      send: (room, stats) =>
        namespace.to(room).emit('mcp_connections_data', { timestamp: monitor.time(), ...stats }),
      sizeOf: room => this.#sizeOf(room),
      onError: error => storeWarning.warn({ err: error }, 'the state for live monitoring cannot be read')
    })
    this.#follower = new FeedFollower(store, logger, changes => this.#tell(changes))
    // Whichever way a client leaves.
    namespace.adapter.on('delete-room', (room: string) => this.#closeRoom(room))
    namespace.on('connection', socket => this.#serve(socket))
  }

  close(): void {
    this.#follower.stop()
    this.#io.disconnectSockets(true)
    this.#io.engine.close()
  }

  #serve(socket: Socket): void {
    const on = (event: string, act: (serverId: string | undefined) => Promise<object> | object): void => {
      socket.on(event, (...args: unknown[]) => void answer(args, act))
    }
    on('subscribe_mcp_connections', serverId => this.#subscribe(socket, serverId))
    on('unsubscribe_mcp_connections', async serverId => {
      const room = roomOf(serverId)
      await socket.leave(room)
      return { status: 'unsubscribed', room, timestamp: this.#options.monitor.time() }
    })
    socket.onAny((event: string, ...args: unknown[]) => {
      if (socket.listeners(event).length === 0)
        void answer([{}, args.at(-1)], () => {
          throw new BadMessage(
            'this event is unknown: use subscribe_mcp_connections or unsubscribe_mcp_connections'
          )
        })
    })
  }

  async #subscribe(socket: Socket, serverId: string | undefined): Promise<object> {
    const { monitor } = this.#options
    const room = roomOf(serverId)
    // Its own is one of them.
    if (!socket.rooms.has(room) && socket.rooms.size > MAX_ROOMS_OF_A_CLIENT)
      throw new BadMessage(
        `a client is in at most ${MAX_ROOMS_OF_A_CLIENT} rooms: unsubscribe from others first`
      )
    this.#rooms.open(room, room === ALL ? undefined : serverId)
    await socket.join(room)
    try {
      await this.#follower.start()
    } catch (error) {
      await socket.leave(room)
      throw error
    }
    void this.#welcome(socket, room)
    return { status: 'subscribed', room, timestamp: monitor.time() }
  }

  async #welcome(socket: Socket, room: string): Promise<void> {
    try {
      const stats = await this.#rooms.now(room)
      if (stats && socket.rooms.has(room))
        socket.emit('mcp_connections_data', { timestamp: this.#options.monitor.time(), ...stats })
    } catch {
      this.#rooms.touch(room)
    }
  }

  #closeRoom(room: string): void {
    this.#rooms.close(room)
    if (this.#rooms.size === 0) this.#follower.stop()
  }

  #sizeOf(room: string): number {
    return this.#io.of('/monitoring').adapter.rooms.get(room)?.size ?? 0
  }

  async #tell(changes: readonly FeedChange[]): Promise<void> {
    const { monitor } = this.#options
    const namespace = this.#io.of('/monitoring')
    for (const { conn } of namespace.sockets.values()) {
      if ((conn as unknown as { writeBuffer: unknown[] }).writeBuffer.length > MAX_UNREAD) conn.close()
    }
    let atOnce = 0
    for (const change of changes) {
      const { endpointId } = change.kind === 'opened' ? change.session : change
      const rooms = [ALL, `${ROOM_PREFIX}${endpointId}`]
      rooms.forEach(room => this.#rooms.touch(room))
      const readers = rooms.reduce((sum, room) => sum + this.#sizeOf(room), 0)
      if (readers === 0 || !this.#maySend(readers)) continue
      const [name, data] = toNotice(change, monitor.mask, monitor.time())
      namespace.to(rooms).emit(name, data)
      atOnce += readers
      if (atOnce < SENDS_AT_ONCE) continue
      atOnce = 0
      await setImmediate()
    }
  }

  #maySend(readers: number): boolean {
    const second = Math.floor(performance.now() / 1_000)
    if (this.#sent.second !== second) this.#sent = { second, sends: 0 }
    this.#sent.sends += readers
    if (this.#sent.sends <= MAX_SENDS_PER_SECOND) return true
    this.#overflow.warn({ readers }, 'too many notices for those who listen: some are left out')
    return false
  }
}

/** What a client sent cannot be used; the message says what to send. */
class BadMessage extends Error {
  readonly code = 'BAD_MESSAGE'
}

/** Acts on a message of a stranger, and acknowledges it if it wants that, whatever it holds. */
async function answer(
  args: readonly unknown[],
  act: (serverId: string | undefined) => Promise<object> | object
): Promise<void> {
  const ack = args.at(-1)
  const [payload = {}] = typeof ack === 'function' ? args.slice(0, -1) : args
  let result: object
  try {
    if (!Check(Subscription, payload)) throw new BadMessage(EXPECTED)
    const serverId = payload.serverId === undefined ? undefined : storedId(payload.serverId)
    if (serverId === undefined && payload.serverId !== undefined) throw new BadMessage(EXPECTED)
    result = await act(serverId)
  } catch (error) {
    const message = error instanceof BadMessage ? error.message : 'this cannot be done now: try again'
    result = { status: 'error', message }
  }
  if (typeof ack === 'function') (ack as (result: object) => void)(result)
}

const roomOf = (serverId = 'default'): string => `${ROOM_PREFIX}${serverId}`
