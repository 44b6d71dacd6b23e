// Owns the Socket.IO side of the monitoring interface: who may join, the rooms to subscribe to, and what is sent to them.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setImmediate } from 'node:timers/promises'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { Server, type Socket } from 'socket.io'
import Type from 'typebox'
import { Check } from 'typebox/value'
import type { FeedChange, StoreReader } from '../../ledger/store-port.js'
import { type StoredId, storedEndpointId } from '../../mcp/stored-ids.js'
import { TurnstileError } from '../../util/errors.js'
import { ThrottledLog } from '../../util/log.js'
import { MAX_DURATION_MS, MINUTE_MS } from '../../util/time.js'
import { foreignness, type OriginRules } from '../access/origins.js'
import { bearerToken, type TokenGate } from '../access/tokens.js'
import type { Monitor } from '../monitor.js'
import { ENDPOINT_ID_EXPECTED } from '../schemas/parameters.js'
import { toNotice } from '../views.js'
import { FeedFollower } from './feed-follower.js'
import { type Connection, LiveClients } from './live-clients.js'
import { NoticeThrottle } from './notice-throttle.js'
import { handOver, refuse, sidOf } from './socket-io-internals.js'
import { ThrottledRooms } from './throttled-rooms.js'

/** How many sessions the state of a room lists, the newest ones; its counts include all others. Chosen. */
const PUSHED_CONNECTIONS = 200
// Limits against clients that do harm. All are chosen: far above what a dashboard needs.
const MAX_ROOMS_OF_A_CLIENT = 100
const MAX_CLIENTS = 5_000
const MAX_MESSAGE_BYTES = 2_000_000
/** After so many sends (notices times readers) the event loop gets a pause for other work. Chosen. */
const SENDS_AT_ONCE = 200

const NAMESPACE = '/monitoring'
const ROOM_PREFIX = 'mcp_connections_'
/** The room of all endpoints. */
const ALL = `${ROOM_PREFIX}default`

const Subscription = Type.Object({ serverId: Type.Optional(Type.String({ minLength: 1, maxLength: 8192 })) })
const EXPECTED = `give an object {serverId?}, serverId being ${ENDPOINT_ID_EXPECTED}`

/** The token that a client showed. */
function tokenOf({ handshake: { auth, headers } }: Socket): string | undefined {
  const token: unknown = auth.token
  return typeof token === 'string' ? token : bearerToken(headers.authorization)
}

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
  readonly #clients = new LiveClients()
  readonly #gate: TokenGate

  constructor(app: FastifyInstance, { store, monitor, gate, allowedOrigins, logger }: LiveMonitoringOptions) {
    this.#monitor = monitor
    this.#gate = gate
    this.#throttle = new NoticeThrottle(logger)
    const throttledLog = new ThrottledLog(logger, 1, MINUTE_MS)
    this.#io = new Server(app.server, {
      serveClient: false,
      cors: { origin: [...allowedOrigins] },
      maxHttpBufferSize: MAX_MESSAGE_BYTES,
      // `LiveClients` cuts who does not join.
      connectTimeout: MAX_DURATION_MS
    })
    this.#watchConnections({ allowed: allowedOrigins, onlyLoopback: gate.isOpen })
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
      const { address } = socket.handshake
      try {
        if (this.#clients.size >= MAX_CLIENTS) throw new BadMessage('there are too many clients')
        gate.admit(tokenOf(socket), 'read', address)
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
    namespace.on('connection', socket => {
      this.#clients.joined(socket.conn)
      socket.on('disconnect', () => this.#clients.stranger(socket.conn))
      this.#serve(socket)
    })
  }

  /** Disconnects those whose token does not count any more. */
  checkTokens(): void {
    for (const socket of this.#io.of(NAMESPACE).sockets.values())
      if (!this.#gate.mayRead(tokenOf(socket))) socket.disconnect(true)
  }

  /** Disconnects everyone. */
  close(): void {
    this.#follower.stop()
    void this.#clients.close()
    this.#io.disconnectSockets(true)
    this.#io.engine.close()
  }

  /** Each request is checked, not only the first of a connection: its page, and that it shows what the first one showed. */
  #watchConnections(rules: OriginRules): void {
    const { engine } = this.#io
    const shownFirst = new Map<string, string | undefined>()
    engine.use((request: IncomingMessage, response: ServerResponse, next: () => void) => {
      const { url = '', headers } = request
      const reason = foreignness(headers, rules)
      if (reason !== undefined) return refuse(response, reason)
      const id = new URL(url, 'http://admin').searchParams.get('sid')
      if (id !== null && shownFirst.has(id) && shownFirst.get(id) !== headers.authorization)
        return refuse(response, 'send the Authorization of the first request in all requests of a connection')
      next()
    })
    engine.on('headers', (headers: Record<string, string>) => {
      headers['cross-origin-resource-policy'] = 'same-origin'
    })
    engine.on('connection', (connection: Connection) => {
      const sid = sidOf(connection)
      shownFirst.set(sid, connection.request.headers.authorization)
      this.#clients.stranger(connection)
      connection.on('drain', () => this.#clients.drained(connection))
      connection.on('close', () => {
        shownFirst.delete(sid)
        this.#clients.closed(connection)
      })
    })
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
    if (!isPlain(payload) || !Check(Subscription, payload)) throw new BadMessage(EXPECTED)
    const serverId = payload.serverId === undefined ? undefined : storedEndpointId(payload.serverId)
    if (serverId === undefined && payload.serverId !== undefined) throw new BadMessage(EXPECTED)
    result = await act(serverId)
  } catch (error) {
    const message = error instanceof BadMessage ? error.message : 'this cannot be done now: try again'
    result = { status: 'error', message }
  }
  if (typeof ack === 'function') (ack as (result: object) => void)(result)
}

/** Whether a payload came as a JSON object; binary ones come as a Buffer, which has no properties that must not be. */
const isPlain = (payload: unknown): boolean =>
  typeof payload === 'object' && payload !== null && Object.getPrototypeOf(payload) === Object.prototype

const roomOf = (serverId = 'default'): string => `${ROOM_PREFIX}${serverId}`
