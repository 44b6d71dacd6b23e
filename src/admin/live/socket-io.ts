// Owns the Socket.IO side of the monitoring interface: who may join, the rooms to subscribe to, and what is sent to them.
import { setImmediate } from 'node:timers/promises'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { Server, type Socket } from 'socket.io'
import Type from 'typebox'
import { Check } from 'typebox/value'
import type { FeedChange, StoreReader } from '../../ledger/store-port.js'
import { type StoredId, storedEndpointId } from '../../mcp/stored-ids.js'
import { TurnstileError } from '../../util/errors.js'
import { ThrottledLog } from '../../util/log.js'
import { foreignness } from '../access/origins.js'
import { bearerToken, type TokenGate } from '../access/tokens.js'
import type { Monitor } from '../monitor.js'
import { ENDPOINT_ID_EXPECTED } from '../schemas/parameters.js'
import { toNotice } from '../views.js'
import { FeedFollower } from './feed-follower.js'
import { NoticeThrottle } from './notice-throttle.js'
import { handOver, unreadPackets } from './socket-io-internals.js'
import { ThrottledRooms } from './throttled-rooms.js'

/** How many sessions the state of a room lists, the newest ones; its counts include all others. Chosen. */
const PUSHED_CONNECTIONS = 200
// Limits against clients that do harm. All are chosen: far above what a dashboard needs.
const MAX_ROOMS_OF_A_CLIENT = 100
const MAX_CLIENTS = 5_000
const MAX_MESSAGE_BYTES = 2_000_000
const JOIN_TIMEOUT_MS = 10_000
/** A client with more unread packets than this does not read, and is disconnected. Chosen. */
const MAX_UNREAD = 256
/** After so many sends (notices times readers) the event loop gets a pause for other work. Chosen. */
const SENDS_AT_ONCE = 200

const NAMESPACE = '/monitoring'
const ROOM_PREFIX = 'mcp_connections_'
/** The room of all endpoints. */
const ALL = `${ROOM_PREFIX}default`

const Subscription = Type.Object({ serverId: Type.Optional(Type.String({ minLength: 1, maxLength: 8192 })) })
const EXPECTED = `give an object {serverId?}, serverId being ${ENDPOINT_ID_EXPECTED}`

/** What live monitoring reads from, and who may listen. */
export interface LiveMonitoringOptions {
  store: StoreReader
  monitor: Monitor
  gate: TokenGate
  allowedOrigins: readonly string[]
  logger: FastifyBaseLogger
}

/** The Socket.IO server of the admin port; its clients are sent states and notices while they are subscribed. */
export class LiveMonitoring {
  readonly #monitor: Monitor
  readonly #io: Server
  readonly #rooms: ThrottledRooms
  readonly #throttle: NoticeThrottle
  readonly #follower: FeedFollower

  constructor(app: FastifyInstance, { store, monitor, gate, allowedOrigins, logger }: LiveMonitoringOptions) {
    this.#monitor = monitor
    this.#throttle = new NoticeThrottle(logger)
    const throttledLog = new ThrottledLog(logger)
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
    // Socket.IO takes its requests before the routes see them, but only at the first server: a name with two addresses, as
    // localhost may be, has a second one.
    app.addHook('onRequest', ({ raw }, reply, done) => {
      if (!raw.url?.startsWith('/socket.io/')) return done()
      reply.hijack()
      handOver(app.server, raw, reply.raw)
    })
    this.#io.use((_socket, next) =>
      next(new Error(`there is nothing here: connect to the namespace ${NAMESPACE}`))
    )
    const namespace = this.#io.of(NAMESPACE)
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
    this.#rooms = new ThrottledRooms({
      stats: endpointId => monitor.stats(endpointId === undefined ? {} : { endpointId }, PUSHED_CONNECTIONS),
      send: (room, stats) =>
        namespace.to(room).emit('mcp_connections_data', { timestamp: monitor.time(), ...stats }),
      sizeOf: room => this.#sizeOf(room),
      onError: error => throttledLog.warn({ err: error }, 'the state for live monitoring cannot be read')
    })
    this.#follower = new FeedFollower(store, logger, changes => this.#notify(changes))
    // This event comes in whichever way the last client leaves a room.
    namespace.adapter.on('delete-room', (room: string) => this.#closeRoom(room))
    namespace.on('connection', socket => this.#serve(socket))
  }

  /** Disconnects everyone. */
  close(): void {
    this.#follower.stop()
    this.#io.disconnectSockets(true)
    this.#io.engine.close()
  }

  #serve(socket: Socket): void {
    const on = (event: string, act: (serverId: StoredId | undefined) => Promise<object> | object): void => {
      socket.on(event, (...args: unknown[]) => void answer(args, act))
    }
    on('subscribe_mcp_connections', serverId => this.#subscribe(socket, serverId))
    on('unsubscribe_mcp_connections', async serverId => {
      const room = roomOf(serverId)
      await socket.leave(room)
      return { status: 'unsubscribed', room, timestamp: this.#monitor.time() }
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

  async #subscribe(socket: Socket, serverId: StoredId | undefined): Promise<object> {
    const room = roomOf(serverId)
    // The room that each socket has of its own is one of them.
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
    return { status: 'subscribed', room, timestamp: this.#monitor.time() }
  }

  async #welcome(socket: Socket, room: string): Promise<void> {
    try {
      const stats = await this.#rooms.now(room)
      if (stats && socket.rooms.has(room))
        socket.emit('mcp_connections_data', { timestamp: this.#monitor.time(), ...stats })
    } catch {
      this.#rooms.touch(room)
    }
  }

  #closeRoom(room: string): void {
    this.#rooms.close(room)
    if (this.#rooms.size === 0) this.#follower.stop()
  }

  #sizeOf(room: string): number {
    return this.#io.of(NAMESPACE).adapter.rooms.get(room)?.size ?? 0
  }

  async #notify(changes: readonly FeedChange[]): Promise<void> {
    const namespace = this.#io.of(NAMESPACE)
    for (const socket of namespace.sockets.values())
      if (unreadPackets(socket) > MAX_UNREAD) socket.conn.close()
    let atOnce = 0
    for (const change of changes) {
      const { endpointId } = change.kind === 'opened' ? change.session : change
      const rooms = [ALL, `${ROOM_PREFIX}${endpointId}`]
      rooms.forEach(room => this.#rooms.touch(room))
      const readers = rooms.reduce((sum, room) => sum + this.#sizeOf(room), 0)
      if (readers === 0 || !this.#throttle.maySend(readers)) continue
      const [name, data] = toNotice(change, this.#monitor.mask, this.#monitor.time())
      namespace.to(rooms).emit(name, data)
      atOnce += readers
      if (atOnce < SENDS_AT_ONCE) continue
      atOnce = 0
      await setImmediate()
    }
  }
}

/** A message of a client cannot be used; the text says what to send instead. */
class BadMessage extends TurnstileError {
  readonly code = 'BAD_MESSAGE'
}

/** Acts on a message of a client, whatever it holds, and acknowledges it where the client asks for that. */
async function answer(
  args: readonly unknown[],
  act: (serverId: StoredId | undefined) => Promise<object> | object
): Promise<void> {
  const ack = args.at(-1)
  const [payload = {}] = typeof ack === 'function' ? args.slice(0, -1) : args
  let result: object
  try {
    if (!Check(Subscription, payload)) throw new BadMessage(EXPECTED)
    const serverId = payload.serverId === undefined ? undefined : storedEndpointId(payload.serverId)
    if (serverId === undefined && payload.serverId !== undefined) throw new BadMessage(EXPECTED)
    result = await act(serverId)
  } catch (error) {
    const message = error instanceof BadMessage ? error.message : 'this cannot be done now: try again'
    result = { status: 'error', message }
  }
  if (typeof ack === 'function') (ack as (result: object) => void)(result)
}

const roomOf = (serverId = 'default'): string => `${ROOM_PREFIX}${serverId}`
