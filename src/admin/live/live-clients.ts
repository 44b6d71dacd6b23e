// Owns which Socket.IO connections may stay: one that did not join with a valid token for some seconds, one that joined while it reads.
import type { Socket } from 'socket.io'
import { networkOf } from '../../util/ipv6.js'
import type { Closable } from '../../util/startup.js'
import { type MonotonicMs, monotonicNow, SECOND_MS } from '../../util/time.js'
import { doesRead, unreadPackets } from './socket-io-internals.js'

/** A connection of engine.io, below the namespaces. */
export type Connection = Socket['conn']

/** The limits, all of them chosen. */
export interface ClientLimits {
  /** How long a connection may stay without a valid token. Issue 16. */
  joinMs: number
  /** The most of these. */
  maxStrangers: number
  /** A client that takes nothing for so long while something waits for it does not read; nor does one with so many packets waiting. */
  unreadMs: number
  maxUnread: number
}

const defaults: ClientLimits = {
  joinMs: 5 * SECOND_MS,
  maxStrangers: 500,
  unreadMs: 10 * SECOND_MS,
  maxUnread: 256
}

/** Cuts connections that may not stay. */
export class LiveClients implements Closable {
  readonly #limits: ClientLimits
  /** Those that have not joined, by the network that they come from, the oldest first. */
  readonly #strangers = new Map<string, Map<Connection, NodeJS.Timeout>>()
  #strangersCount = 0
  /** Those that joined, and since when they have taken nothing of what waits for them. */
  readonly #joined = new Map<Connection, MonotonicMs | undefined>()
  readonly #timer: NodeJS.Timeout

  constructor(limits: Partial<ClientLimits> = {}) {
    this.#limits = { ...defaults, ...limits }
    this.#timer = setInterval(() => this.#cutUnread(), Math.min(SECOND_MS, this.#limits.unreadMs / 4)).unref()
  }

  /** How many have joined. */
  get size(): number {
    return this.#joined.size
  }

  /** A connection was made, or left what it had joined. Where there are too many, the network with the most of them loses its oldest. */
  stranger(connection: Connection): void {
    this.#forget(connection)
    if (connection.readyState !== 'open' && connection.readyState !== 'opening') return
    if (this.#strangersCount >= this.#limits.maxStrangers) this.#cutOldest()
    const network = networkOf(connection.remoteAddress)
    const ofNetwork = this.#strangers.get(network) ?? new Map<Connection, NodeJS.Timeout>()
    ofNetwork.set(connection, setTimeout(() => connection.close(true), this.#limits.joinMs).unref())
    this.#strangers.set(network, ofNetwork)
    this.#strangersCount++
  }

  /** It has shown a valid token. */
  joined(connection: Connection): void {
    this.#forget(connection)
    this.#joined.set(connection, undefined)
  }

  /** The connection is closed. */
  closed(connection: Connection): void {
    this.#forget(connection)
  }

  /** Something of what waited is on its way: the client reads. */
  drained(connection: Connection): void {
    if (this.#joined.has(connection)) this.#joined.set(connection, undefined)
  }

  close(): Promise<void> {
    clearInterval(this.#timer)
    return Promise.resolve()
  }

  #forget(connection: Connection): void {
    this.#joined.delete(connection)
    const network = networkOf(connection.remoteAddress)
    const ofNetwork = this.#strangers.get(network)
    const timer = ofNetwork?.get(connection)
    if (timer === undefined) return
    clearTimeout(timer)
    ofNetwork!.delete(connection)
    if (ofNetwork!.size === 0) this.#strangers.delete(network)
    this.#strangersCount--
  }

  #cutOldest(): void {
    let most: Map<Connection, NodeJS.Timeout> | undefined
    for (const ofNetwork of this.#strangers.values()) if (ofNetwork.size > (most?.size ?? 0)) most = ofNetwork
    const oldest = most?.keys().next().value
    if (oldest === undefined) return
    this.#forget(oldest)
    oldest.close(true)
  }

  #cutUnread(): void {
    const now = monotonicNow()
    const { unreadMs, maxUnread } = this.#limits
    for (const [connection, since] of this.#joined) {
      if (doesRead(connection)) this.#joined.set(connection, undefined)
      else if (since === undefined) this.#joined.set(connection, now)
      else if (now - since >= unreadMs || unreadPackets(connection) > maxUnread) connection.close(true)
    }
  }
}
