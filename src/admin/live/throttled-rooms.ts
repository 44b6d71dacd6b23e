// Owns the throttling of live updates: the state of each room is sent on change, at most four times a second, less often to
// large rooms; the last state is never left out.
import { setImmediate } from 'node:timers/promises'
import type { StoredId } from '../../mcp/stored-ids.js'
import { type MonotonicMs, monotonicNow } from '../../util/time.js'
import type { ConnectionStats } from '../schemas/monitoring-responses.js'

/** No room is sent its state more often than this. Chosen: people who watch take it for immediate. */
const TICK_MS = 250
/** How often a room's state is read for what the feed does not report: request counts and last activity. Chosen. */
const REFRESH_MS = 2_000
/** The rate for all readers of a room together; a larger room gets its state less often. Chosen: 20 MB/s. */
const BYTES_PER_MS = 20_000

interface Room {
  /** Undefined: all endpoints. */
  endpointId: StoredId | undefined
  /** Something happened since its state was sent. */
  dirty: boolean
  notBefore: MonotonicMs
  /** The state that all its readers have; undefined: they have none, or different ones. */
  sent: string | undefined
  reading: Promise<ConnectionStats> | undefined
}

/** Where rooms read their state, and how they send it. */
export interface ThrottledRoomsOptions {
  stats: (endpointId: StoredId | undefined) => Promise<ConnectionStats>
  /** To all readers of the room. */
  send: (room: string, stats: ConnectionStats) => void
  /** How many readers the room has. */
  sizeOf: (room: string) => number
  /** The state could not be read; it is tried again. */
  onError: (error: unknown) => void
}

/** The rooms that have readers, and a timer while there are any. */
export class ThrottledRooms {
  readonly #rooms = new Map<string, Room>()
  readonly #options: ThrottledRoomsOptions
  #timer: NodeJS.Timeout | undefined
  #busy = false
  #refreshAt: MonotonicMs = 0

  constructor(options: ThrottledRoomsOptions) {
    this.#options = options
  }

  /** How many rooms are open. */
  get size(): number {
    return this.#rooms.size
  }

  /** Opens a room unless it is open; `endpointId`: undefined for all endpoints. */
  open(name: string, endpointId: StoredId | undefined): void {
    if (!this.#rooms.has(name))
      this.#rooms.set(name, { endpointId, dirty: false, notBefore: 0, sent: undefined, reading: undefined })
    this.#timer ??= setInterval(() => void this.#tick(), TICK_MS).unref()
  }

  /** Closes a room: its last reader left. */
  close(name: string): void {
    this.#rooms.delete(name)
    if (this.#rooms.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** Notes that something happened in a room; does nothing if the room is not open. */
  touch(name: string): void {
    const room = this.#rooms.get(name)
    if (room) room.dirty = true
  }

  /** The state for a reader who just came; read from the store once for all who come at the same time. */
  async now(name: string): Promise<ConnectionStats | undefined> {
    const room = this.#rooms.get(name)
    if (!room) return undefined
    room.reading ??= this.#options.stats(room.endpointId).finally(() => (room.reading = undefined))
    const stats = await room.reading
    const state = stateOf(stats)
    if (this.#options.sizeOf(name) === 1) room.sent = state
    if (state !== room.sent) {
      // The other readers have an older state: the next tick sends the state to all of them.
      room.sent = undefined
      room.dirty = true
    }
    return stats
  }

  async #tick(): Promise<void> {
    if (this.#busy) return
    this.#busy = true
    const refresh = monotonicNow() >= this.#refreshAt
    for (const [name, room] of this.#rooms) {
      if (!room.dirty && !refresh) continue
      if (monotonicNow() < room.notBefore) continue
      room.dirty = false
      await this.#sendState(name, room).catch((error: unknown) => {
        room.dirty = true
        this.#options.onError(error)
      })
      await setImmediate()
    }
    // Counted from the end of a round, so that no number of rooms keeps the store busy all the time.
    if (refresh) this.#refreshAt = monotonicNow() + REFRESH_MS
    this.#busy = false
  }

  async #sendState(name: string, room: Room): Promise<void> {
    const stats = await this.#options.stats(room.endpointId)
    const state = stateOf(stats)
    if (state === room.sent) return
    room.sent = state
    const bytes = state.length * this.#options.sizeOf(name)
    room.notBefore = monotonicNow() + Math.max(TICK_MS, bytes / BYTES_PER_MS)
    this.#options.send(name, stats)
  }
}

/** All but the time at which it was read. */
const stateOf = (stats: ConnectionStats): string => JSON.stringify({ ...stats, lastUpdated: undefined })
