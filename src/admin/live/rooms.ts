// Owns the state that each room was told: computed and sent on change, at most four times a second, the last never lost.
import { setImmediate } from 'node:timers/promises'
import type { ConnectionStats } from '../schemas/monitoring-responses.js'

/** No room is told more often. */
const TICK_MS = 250
/** How often a room is looked at for what the feed does not tell: request counts and last activity. */
const REFRESH_MS = 2_000
/** Over all who listen; a larger room is told less often. */
const BYTES_PER_MS = 20_000

interface Room {
  endpointId: string | undefined
  /** Something happened since it was told. */
  dirty: boolean
  /** Not told again before, on the clock of `performance.now()`. */
  notBeforeMs: number
  /** What all in it were told last. */
  told: string | undefined
  fresh: Promise<ConnectionStats> | undefined
}

export interface RoomsOptions {
  stats: (endpointId: string | undefined) => Promise<ConnectionStats>
  /** To everyone in the room. */
  send: (room: string, stats: ConnectionStats) => void
  /** How many are in the room. */
  sizeOf: (room: string) => number
  onError: (error: unknown) => void
}

export class Rooms {
  readonly #rooms = new Map<string, Room>()
  readonly #options: RoomsOptions
  #timer: NodeJS.Timeout | undefined
  #busy = false
  #refreshAtMs = 0

  constructor(options: RoomsOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#rooms.size
  }

  open(name: string, endpointId: string | undefined): void {
    if (!this.#rooms.has(name))
      this.#rooms.set(name, { endpointId, dirty: false, notBeforeMs: 0, told: undefined, fresh: undefined })
    this.#timer ??= setInterval(() => void this.#tick(), TICK_MS).unref()
  }

  close(name: string): void {
    this.#rooms.delete(name)
    if (this.#rooms.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** Something happened in a room, if it is one. */
  touch(name: string): void {
    const room = this.#rooms.get(name)
    if (room) room.dirty = true
  }

  /** The state for one who just came; asked of the store once for all who come at the same time. */
  async now(name: string): Promise<ConnectionStats | undefined> {
    const room = this.#rooms.get(name)
    if (!room) return undefined
    room.fresh ??= this.#options.stats(room.endpointId).finally(() => (room.fresh = undefined))
    const stats = await room.fresh
    const state = stateOf(stats)
    if (this.#options.sizeOf(name) === 1) room.told = state
    if (state !== room.told) {
      // The others in the room were told something else: all are told anew, in turn.
      room.told = undefined
      room.dirty = true
    }
    return stats
  }

  async #tick(): Promise<void> {
    if (this.#busy) return
    this.#busy = true
    const refresh = performance.now() >= this.#refreshAtMs
    for (const [name, room] of this.#rooms) {
      if (!room.dirty && !refresh) continue
      if (performance.now() < room.notBeforeMs) continue
      room.dirty = false
      await this.#tell(name, room).catch((error: unknown) => {
        room.dirty = true
        this.#options.onError(error)
      })
      await setImmediate()
    }
    // From the end of a round on, so that no number of rooms keeps the store busy all the time.
    if (refresh) this.#refreshAtMs = performance.now() + REFRESH_MS
    this.#busy = false
  }

  async #tell(name: string, room: Room): Promise<void> {
    const stats = await this.#options.stats(room.endpointId)
    const state = stateOf(stats)
    if (state === room.told) return
    room.told = state
    const bytes = state.length * this.#options.sizeOf(name)
    room.notBeforeMs = performance.now() + Math.max(TICK_MS, bytes / BYTES_PER_MS)
    this.#options.send(name, stats)
  }
}

/** All but the time at which it was asked. */
const stateOf = (stats: ConnectionStats): string => JSON.stringify({ ...stats, lastUpdated: undefined })
