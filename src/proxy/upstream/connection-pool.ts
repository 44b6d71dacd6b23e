// Owns the pool of connections to the upstream: a stack of idle ones, without a limit, for streams would use any limit up.
//
// It is our own because a pool with a limit hangs once streams hold all its connections, and undici's `Pool` looks through all
// its clients for each request: 156 µs for a POST beside 9,000 open streams. The head of connection.ts says the rest.
import { type MonotonicMs, monotonicNow } from '../../util/time.js'
import { Connection, type ConnectionOptions } from './connection.js'
import { restMs } from './delayed-acks.js'
import type { SerialUpstreamDetector } from './serial-upstream.js'

/**
 * Below the 5 s after which uvicorn and Node close an idle connection: a request must not meet that close. Shorter where the
 * upstream says so (`Keep-Alive`).
 */
const idleTimeoutMs = 4_000
/** How often to look for connections that were idle too long: they close after 4.5 s at most, still before the upstream does it. */
const SWEEP_INTERVAL_MS = 500
/**
 * With so many idle connections no other one is opened because none of them has rested: the request gets the one that rested
 * longest. Chosen: a bound for the file descriptors that resting may take.
 */
const maxResting = 1_024

/** The options of all connections of a pool, which keeps their `census` by itself. */
export type PoolOptions = Omit<ConnectionOptions, 'census'>

/** Connections are used by one exchange at a time: taken from here, and released when it is complete. */
export class ConnectionPool {
  readonly #options: ConnectionOptions
  /** Connections that are open, and that were opened since the process started. */
  readonly census = { open: 0, opened: 0 }
  /** The one used last is at the end. */
  #idle: Connection[] = []
  #closed = false
  readonly #sweep = setInterval(() => this.#closeOld(), SWEEP_INTERVAL_MS).unref()

  constructor(options: PoolOptions) {
    this.#options = { ...options, census: this.census }
  }

  /** Learns of the connections that are made from now on. */
  set serialUpstream(detector: SerialUpstreamDetector) {
    this.#options.serialUpstream = detector
  }

  /** How many are idle. */
  get idle(): number {
    return this.#idle.length
  }

  /**
   * A connection for the caller alone: an idle one, or else a new one. The one used last is taken first, so that those which
   * are not needed grow old. `mayBeControl`: as in `DelayedAckDetector.shouldRest`.
   */
  take(mayBeControl = false): Connection {
    const now = monotonicNow()
    const rested = this.#options.delayedAcks?.shouldRest(now, mayBeControl) === true
    for (;;) {
      const idle = rested ? this.#takeRested(now) : this.#idle.pop()
      if (idle === undefined) return new Connection(this.#options, connection => this.#remove(connection))
      // The upstream may be closing it: after a standstill of the process a request comes before the sweep.
      if (now < idle.idleUntil) return idle
      idle.destroy()
    }
  }

  #takeRested(now: MonotonicMs): Connection | undefined {
    const rested = this.#idle.findLastIndex(({ idleSince }) => idleSince + restMs <= now)
    if (rested !== -1) return this.#idle.splice(rested, 1)[0]
    return this.#idle.length < maxResting ? undefined : this.#idle.shift()
  }

  /** Gives back a connection whose response is complete. It is closed if it cannot be used again. */
  release(connection: Connection): void {
    if (!connection.reusable || this.#closed) return connection.destroy()
    connection.idleSince = monotonicNow()
    connection.idleUntil = connection.idleSince + Math.min(idleTimeoutMs, connection.keepAliveMs)
    this.#idle.push(connection)
  }

  /** Closes the idle connections. */
  close(): void {
    this.#closed = true
    clearInterval(this.#sweep)
    for (const connection of this.#idle.splice(0)) connection.destroy()
  }

  #remove(connection: Connection): void {
    const at = this.#idle.indexOf(connection)
    if (at !== -1) this.#idle.splice(at, 1)
  }

  #closeOld(): void {
    const now = monotonicNow()
    const old = this.#idle.filter(({ idleUntil }) => idleUntil <= now)
    if (old.length === 0) return
    this.#idle = this.#idle.filter(({ idleUntil }) => idleUntil > now)
    for (const connection of old) connection.destroy()
  }
}
