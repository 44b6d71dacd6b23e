// Owns the pool of connections to the upstream: a stack of idle ones, without a limit, for streams would use any limit up.
//
// It is our own because a pool with a limit hangs once streams hold all its connections, and undici's `Pool` looks through all
// its clients for each request: 156 µs for a POST beside 9,000 open streams. The head of connection.ts says the rest.
import { type MonotonicMs, monotonicNow, SECOND_MS } from '../../util/time.js'
import { Connection, type ConnectionOptions } from './connection.js'
import { restMs } from './delayed-acks.js'
import { KEEP_ALIVE_MARGIN_MS } from './response-parser.js'
import type { SerialUpstreamDetector } from './serial-upstream.js'

/** How often to look for connections that were idle too long: they close half a second late at most. */
const SWEEP_INTERVAL_MS = 500
/**
 * How long the upstream is taken to leave an idle connection open before one has lived longer: 2 s, as gunicorn does, is the
 * shortest default known. Issue 20.
 */
const ASSUMED_LIFE_MS = 2 * SECOND_MS
/** Within this time a connection is used again, however early others were closed: as in a restart. Chosen: a busy connection's gaps. */
const ALWAYS_USED_MS = 250
/**
 * A connection is left alone for this time after a response without a body: some servers send one all the same, and late
 * (bjoern#139, HTTP.jl#261). Chosen: ample for what was written right behind.
 */
const LATE_BODY_MS = 500
/**
 * With so many idle connections no other one is opened because none of them has rested: the request gets the one that rested
 * longest. Chosen: a bound for the file descriptors that resting may take.
 */
const maxResting = 1_024

/** The options of all connections of a pool, which keeps their `census` by itself. */
export interface PoolOptions extends Omit<ConnectionOptions, 'census'> {
  /** For how long an idle connection is used where the upstream names no time (`Keep-Alive`), in milliseconds; 0: not at all. */
  upstreamKeepAliveMs: number
}

/** Connections are used by one exchange at a time: taken from here, and released when it is complete. */
export class ConnectionPool {
  readonly #options: ConnectionOptions
  readonly #keepAliveMs: number
  /** Connections that are open, and that were opened since the process started. */
  readonly census = { open: 0, opened: 0 }
  /** The one used last is at the end. */
  #idle: Connection[] = []
  /** For so long an idle connection has been left open by the upstream; for no longer, if it closed the last one. */
  #lifeMs = ASSUMED_LIFE_MS
  #closed = false
  readonly #sweep = setInterval(() => this.#closeOld(), SWEEP_INTERVAL_MS).unref()

  constructor({ upstreamKeepAliveMs, ...options }: PoolOptions) {
    this.#keepAliveMs = upstreamKeepAliveMs
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
    const rest = this.#options.delayedAcks?.shouldRest(now, mayBeControl) === true ? restMs : 0
    const at = this.#lastRested(now, rest)
    const idle = this.#idle[at]
    // One that is too old stays until the sweep: it may show how long the upstream leaves it open. So do those that are older.
    if (idle === undefined || now >= this.#usableUntil(idle))
      return new Connection(this.#options, connection => this.#remove(connection))
    if (at === this.#idle.length - 1) this.#idle.pop()
    else this.#idle.splice(at, 1)
    return idle
  }

  /** The index of the connection used last of those that have rested; -1: none has. */
  #lastRested(now: MonotonicMs, rest: number): number {
    const isRested = ({ idleSince, mayBeFollowed }: Connection): boolean =>
      now - idleSince >= (mayBeFollowed ? LATE_BODY_MS : rest)
    const at = this.#idle.findLastIndex(isRested)
    return at === -1 && this.#idle.length >= maxResting ? 0 : at
  }

  /** A request must not meet the upstream's close: after a standstill of the process a request comes before the sweep. */
  #usableUntil({ idleSince, idleUntil, keepAliveMs }: Connection): MonotonicMs {
    if (keepAliveMs !== undefined || this.#lifeMs >= this.#keepAliveMs) return idleUntil
    return Math.min(idleUntil, idleSince + Math.max(ALWAYS_USED_MS, this.#lifeMs - KEEP_ALIVE_MARGIN_MS))
  }

  /** Gives back a connection whose response is complete. It is closed if it cannot be used again. */
  release(connection: Connection): void {
    if (!connection.reusable || this.#closed || this.#keepAliveMs === 0) return connection.destroy()
    connection.idleSince = monotonicNow()
    connection.idleUntil = connection.idleSince + (connection.keepAliveMs ?? this.#keepAliveMs)
    this.#idle.push(connection)
  }

  /** Closes the idle connections. */
  close(): void {
    this.#closed = true
    clearInterval(this.#sweep)
    for (const connection of this.#idle.splice(0)) connection.destroy()
  }

  /** The connection is gone; if it was idle, the upstream closed it. */
  #remove(connection: Connection): void {
    const at = this.#idle.indexOf(connection)
    if (at === -1) return
    this.#idle.splice(at, 1)
    if (!connection.mayBeFollowed)
      this.#lifeMs = Math.min(this.#lifeMs, monotonicNow() - connection.idleSince)
  }

  #closeOld(): void {
    const now = monotonicNow()
    const [oldest] = this.#idle
    if (oldest === undefined) return
    this.#lifeMs = Math.max(this.#lifeMs, now - oldest.idleSince)
    const old = this.#idle.filter(({ idleUntil }) => idleUntil <= now)
    if (old.length === 0) return
    this.#idle = this.#idle.filter(({ idleUntil }) => idleUntil > now)
    for (const connection of old) connection.destroy()
  }
}
