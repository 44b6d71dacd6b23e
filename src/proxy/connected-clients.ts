// Owns who is connected to the proxy, which exchanges are under way, and how both come to an end when the proxy closes.
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import {
  sessionKey,
  storedEndpointId,
  type StoredId,
  storedSessionId,
  type WireId
} from '../mcp/stored-ids.js'
import { type EpochMs, type MonotonicMs, monotonicNow } from '../util/time.js'
import { responseInFlight } from './http/pipelining.js'
import type { StreamSession } from './taps/tap.js'

/** A request that is being forwarded. */
export interface ClientExchange {
  /** The session whose messages its response carries, while it lasts. */
  readonly streamOf: StreamSession | undefined
  /** The session whose message it brings to the upstream, while its response is not over. */
  readonly callOf: StreamSession | undefined
  /** Reports that it keeps its session present at `at`, unless it was in use within `withinMs`; whether it reported that. */
  notePresence(at: EpochMs, withinMs: number): boolean
  /** Ends it on both sides, as if the client had left. */
  cut(): void
  /** Ends the request to the upstream; the client has left already. */
  abort(): void
  /** Ends the response as if it were complete, if it is a stream that its client opens again, elsewhere. */
  endReopened(): void
}

/** A stream of a session that runs through this proxy. */
export interface SessionStream {
  readonly sessionId: WireId
  /** Ends it on both sides, as if the client had left. */
  cut(): void
}

/** How often a closing proxy looks for unused connections. Chosen: a twentieth of `UNUSED_MS`. */
const SWEEP_INTERVAL_MS = 50
/**
 * A closing proxy ends connections that were unused for at least this time: on one that was just used, a client may be
 * sending its next request. Chosen: more than the round trip to any client.
 */
const UNUSED_MS = 1_000

/** So many exchanges are reported at once, where there are so many. Chosen: it takes less than a millisecond. */
const MIN_NOTED = 200

/** The clients of one proxy. Those who accept connections and run exchanges report them here. */
export class ConnectedClients {
  readonly #sockets = new Set<Socket>()
  /** Those of them that speak WebSocket. */
  readonly #upgraded = new Set<Socket>()
  /**
   * By client, the exchange that began last. A set of those in flight would make the heap grow: V8 replaces its table after so
   * many changes, and what an old table held lives until the next full collection.
   */
  readonly #latest = new Map<Socket, ClientExchange>()
  /** Exchanges that wait for a response although their client left. */
  readonly #unattended = new Set<ClientExchange>()
  readonly #unusedSince = new Map<Socket, MonotonicMs>()
  #inFlight = 0
  #closing = false

  /** All connections of clients. */
  get sockets(): ReadonlySet<Socket> {
    return this.#sockets
  }

  /** How many WebSockets are open. */
  get webSockets(): number {
    return this.#upgraded.size
  }

  /** The proxy is closing: each client should come back on another connection. */
  get closing(): boolean {
    return this.#closing
  }

  /** A client connected. */
  add(socket: Socket): void {
    this.#sockets.add(socket)
  }

  /** The connection of a client closed. */
  remove(socket: Socket): void {
    this.#sockets.delete(socket)
    this.#upgraded.delete(socket)
    this.#latest.delete(socket)
  }

  /** The connection is used for a WebSocket from now on. */
  upgrade(socket: Socket): void {
    this.#upgraded.add(socket)
  }

  /** An exchange begins; `finish` must follow. */
  begin(exchange: ClientExchange, socket: Socket): void {
    this.#inFlight++
    this.#latest.set(socket, exchange)
  }

  /** The client left, and the exchange waits for its response all the same. */
  leaveUnattended(exchange: ClientExchange): void {
    this.#unattended.add(exchange)
  }

  /** The exchange is over. */
  finish(exchange: ClientExchange): void {
    this.#inFlight--
    this.#unattended.delete(exchange)
  }

  /** The streams of one session, which are more than one if its client opened more. */
  streamsOf(endpointId: StoredId, sessionId: StoredId): SessionStream[] {
    return [...this.#latest.values()].flatMap(exchange => {
      const session = exchange.streamOf
      const isAsked =
        session &&
        storedEndpointId(session.endpointId) === endpointId &&
        storedSessionId(session.sessionId) === sessionId
      return isAsked ? [{ sessionId: session.sessionId, cut: () => exchange.cut() }] : []
    })
  }

  /** The sessions (`sessionKey`) of Streamable HTTP that have a call under way. */
  inCall(): Set<string> {
    const found = new Set<string>()
    for (const { callOf } of this.#latest.values()) {
      const endpointId = callOf && storedEndpointId(callOf.endpointId)
      const sessionId = callOf && storedSessionId(callOf.sessionId)
      if (endpointId !== undefined && sessionId !== undefined)
        found.add(sessionKey({ endpointId, sessionId }))
    }
    return found
  }

  /**
   * Reports the sessions that exchanges under way keep present at `at`, but for those in use within `withinMs`, and of many
   * only this share: the others next time.
   */
  notePresence(at: EpochMs, withinMs: number, share: number): void {
    let left = Math.max(MIN_NOTED, share * this.#latest.size)
    for (const exchange of this.#latest.values())
      if (exchange.notePresence(at, withinMs) && --left <= 0) return
  }

  /** Bytes on the connections that are open now. */
  get bytes(): { received: number; sent: number } {
    const bytes = { received: 0, sent: 0 }
    for (const { bytesRead, bytesWritten } of this.#sockets) {
      bytes.received += bytesRead
      bytes.sent += bytesWritten
    }
    return bytes
  }

  /**
   * Ends streams that their clients open again, lets other requests in flight finish, ends connections that are not in use, and
   * after `graceMs` cuts what is left. Resolves when all exchanges are over.
   * @param closeListener Stops accepting; resolves when all connections are closed.
   */
  async close(graceMs: number, closeListener: () => Promise<unknown>): Promise<void> {
    this.#closing = true
    this.#latest.forEach(exchange => exchange.endReopened())
    const cut = setTimeout(() => {
      this.#sockets.forEach(socket => socket.destroy())
      this.#unattended.forEach(exchange => exchange.abort())
    }, graceMs)
    const sweep = setInterval(() => this.#closeUnused(), SWEEP_INTERVAL_MS)
    await closeListener()
    // Streams that were cut are over when their sockets say so.
    while (this.#inFlight > 0) await delay(1)
    clearTimeout(cut)
    clearInterval(sweep)
  }

  /** Ends connections on which nothing has been under way for a while. The others end with their next response. */
  #closeUnused(): void {
    const now = monotonicNow()
    for (const socket of this.#sockets) {
      const since = this.#unusedSince.get(socket)
      if (this.#upgraded.has(socket) || responseInFlight(socket) !== undefined)
        this.#unusedSince.delete(socket)
      else if (since === undefined) this.#unusedSince.set(socket, now)
      else if (now - since >= UNUSED_MS) socket.destroySoon()
    }
  }
}
