// Owns the pool of connections to the upstream: a stack of idle ones, without a limit, as streams would use it up.
import { Connection, type ConnectionOptions } from './connection.js'
import { restMs } from './delayed-acks.js'

/** Below the 5 s after which uvicorn and Node close an idle connection: a request must not meet that close. */
const idleTimeoutMs = 4_000
const SWEEP_INTERVAL_MS = 500
/** With as many none is opened for want of a rested one: the request gets the one that rested longest. */
const maxResting = 1_024

export class ConnectionPool {
  readonly #options: ConnectionOptions
  readonly census = { open: 0, opened: 0 }
  /** The one used last is at the end. */
  readonly #idle: Connection[] = []
  readonly #sweep = setInterval(() => this.#closeOld(), SWEEP_INTERVAL_MS).unref()

  constructor(options: Omit<ConnectionOptions, 'census'>) {
    this.#options = { ...options, census: this.census }
  }

  get idle(): number {
    return this.#idle.length
  }

  /** An idle connection, the one used last so that those not needed grow old, or a new one: for the caller alone. */
  take(): Connection {
    const now = performance.now()
    // After a standstill of the process it comes before the sweep.
    if (now - (this.#idle[0]?.idleSince ?? now) >= idleTimeoutMs) this.#closeOld()
    const idle = this.#options.nagle.shouldRest(now) ? this.#takeRested(now) : this.#idle.pop()
    return idle ?? new Connection(this.#options, connection => this.#remove(connection))
  }

  #takeRested(now: number): Connection | undefined {
    const rested = this.#idle.findLastIndex(({ idleSince }) => idleSince + restMs <= now)
    if (rested !== -1) return this.#idle.splice(rested, 1)[0]
    return this.#idle.length < maxResting ? undefined : this.#idle.shift()
  }

  /** Gives back a connection whose request is sent and whose answer is complete. */
  release(connection: Connection): void {
    if (!connection.reusable) return connection.destroy()
    connection.idleSince = performance.now()
    this.#idle.push(connection)
  }

  close(): void {
    clearInterval(this.#sweep)
    for (const connection of this.#idle.splice(0)) connection.destroy()
  }

  #remove(connection: Connection): void {
    const at = this.#idle.indexOf(connection)
    if (at !== -1) this.#idle.splice(at, 1)
  }

  #closeOld(): void {
    const now = performance.now()
    const old = this.#idle.findIndex(({ idleSince }) => now - idleSince < idleTimeoutMs)
    for (const connection of this.#idle.splice(0, old === -1 ? this.#idle.length : old)) connection.destroy()
  }
}
