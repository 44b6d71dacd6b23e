// Owns the visits of session-less clients that this process sees: accepted requests and listen streams in, presence out.
import { createHash, randomUUID } from 'node:crypto'
import { unknownClient, revisionOf, storedUserAgent, type ClientInfo } from '../mcp/client-info.js'
import { LISTEN_METHOD } from '../mcp/methods.js'
import type { VisitEvent } from './events.js'
import type { Client, StreamableResponse } from './observations.js'
import { UseBatching } from './use-batching.js'

/** Who is the same session-less client: a digest of all that its requests have in common. Ids hold no line ends. */
export function visitorOf(endpointId: string, client: Client, authorization: string | undefined): string {
  const identity = `${endpointId}\n${client.address}\n${client.userAgent ?? ''}\n${authorization ?? ''}`
  return createHash('sha256').update(identity).digest('base64url')
}

/** A client that this process has seen, from its first request until it was idle. */
interface Visit {
  readonly endpointId: string
  readonly visitor: string
  readonly clientAddress: string
  readonly userAgent: string | null
  who: ClientInfo
  /** Presence not yet told begins here, in epoch ms; undefined: all is told. */
  from: number | undefined
  lastSeenAt: number
  /** The last presence that the ledger was told of. */
  toldAt: number
  pendingRequests: number
  /** Listen streams that are open. */
  streams: number
}

/** How often a client that only listens is told to be there: several times within the idle timeout. */
const MAX_LISTENING_UNTOLD_MS = 30_000
const TOLD_PER_TIMEOUT = 4

/**
 * The first request of a visit comes out at once; presence after it is coalesced until `flush`. What it remembers is
 * bounded: a client forgotten and seen again is told at once, and the ledger knows that it was there.
 */
export class VisitTracker {
  /** Clients without a listen stream, least recently seen first. */
  readonly #resting = new Map<string, Visit>()
  readonly #listening = new Map<string, Visit>()
  readonly #untold: UseBatching<Visit>
  readonly #idleTimeoutMs: number
  readonly #untoldMs: number
  readonly #maxRemembered: number

  /** `idleTimeoutMs` 0: visits never end. */
  constructor(idleTimeoutMs: number, maxRemembered: number) {
    this.#idleTimeoutMs = idleTimeoutMs
    this.#untoldMs = Math.min((idleTimeoutMs || Infinity) / TOLD_PER_TIMEOUT, MAX_LISTENING_UNTOLD_MS)
    this.#untold = new UseBatching(idleTimeoutMs)
    this.#maxRemembered = maxRemembered
  }

  /** An accepted request without a session; ids in their stored form. */
  request(endpointId: string, visitor: string, answer: StreamableResponse): VisitEvent[] {
    const { at } = answer
    const protocolVersion = revisionOf(answer.protocolVersion)
    let visit = this.#current(visitor, at)
    const events: VisitEvent[] = []
    if (visit) {
      this.#touch(visit, at, 1)
      if (visit.who.protocolVersion === null && protocolVersion !== null)
        visit.who = { ...visit.who, protocolVersion }
    } else {
      visit = {
        endpointId,
        visitor,
        clientAddress: answer.client.address,
        userAgent: storedUserAgent(answer.client.userAgent),
        // Asked once a visit: it parses the body.
        who: { ...(answer.body?.who() ?? unknownClient), protocolVersion },
        from: at,
        lastSeenAt: at,
        toldAt: at,
        pendingRequests: 1,
        streams: 0
      }
      events.push(...this.#rest(visit), this.#tell(visit))
    }
    if (answer.rpcMethod === LISTEN_METHOD) this.#listen(visit, at)
    return events
  }

  /** A server message to a client: activity of a visit, but it begins none. */
  message(visitor: string, at: number): void {
    const visit = this.#current(visitor, at)
    if (visit) this.#touch(visit, at, 0)
  }

  listenEnded(visitor: string, at: number): VisitEvent[] {
    const visit = this.#listening.get(visitor)
    if (!visit) return []
    this.#touch(visit, at, 0)
    if (--visit.streams > 0) return []
    this.#listening.delete(visitor)
    return this.#rest(visit)
  }

  /** Presence that is due, one event a client; those that listen are there at `now` (epoch ms). */
  flush(now: number, atLeast?: number): VisitEvent[] {
    for (const visit of this.#listening.values()) {
      // A clock that was put back is no reason to be silent until it comes by again.
      const due = Math.abs(now - visit.lastSeenAt) >= this.#untoldMs
      if (due || this.#untold.has(visit)) this.#touch(visit, now, 0)
    }
    const events = this.#untold.take(now, atLeast).map(visit => this.#tell(visit))
    for (const visitor of this.#resting.keys()) {
      if (this.#current(visitor, now)) break
      this.#resting.delete(visitor)
    }
    return events
  }

  /** The visit that the client is on at `at`; one that idled before is over. */
  #current(visitor: string, at: number): Visit | undefined {
    const visit = this.#listening.get(visitor) ?? this.#resting.get(visitor)
    if (!visit || visit.streams > 0 || this.#idleTimeoutMs === 0) return visit
    return at - visit.lastSeenAt < this.#idleTimeoutMs ? visit : undefined
  }

  #touch(visit: Visit, at: number, requests: 0 | 1): void {
    visit.pendingRequests += requests
    visit.from = Math.min(visit.from ?? at, at)
    visit.lastSeenAt = Math.max(visit.lastSeenAt, at)
    this.#untold.add(visit)
    if (this.#resting.delete(visit.visitor)) this.#resting.set(visit.visitor, visit)
  }

  #listen(visit: Visit, at: number): void {
    visit.streams++
    visit.from ??= at
    this.#resting.delete(visit.visitor)
    this.#listening.set(visit.visitor, visit)
  }

  /** Remembers a client without a stream; what was pending of one that it replaces, or that makes room, comes out. */
  #rest(visit: Visit): VisitEvent[] {
    const events = this.#forget(this.#resting.get(visit.visitor))
    this.#resting.set(visit.visitor, visit)
    if (this.#resting.size > this.#maxRemembered)
      events.push(...this.#forget(this.#resting.values().next().value))
    return events
  }

  #forget(visit: Visit | undefined): VisitEvent[] {
    if (!visit) return []
    this.#resting.delete(visit.visitor)
    return this.#untold.delete(visit) ? [this.#tell(visit)] : []
  }

  /** Takes what is pending of a visit out of it. */
  #tell(visit: Visit): VisitEvent {
    const { endpointId, visitor, clientAddress, userAgent, who, lastSeenAt, pendingRequests } = visit
    const from = visit.from ?? lastSeenAt
    visit.pendingRequests = 0
    visit.toldAt = lastSeenAt
    visit.from = visit.streams > 0 ? lastSeenAt : undefined
    return {
      type: 'visit',
      endpointId,
      sessionId: randomUUID(),
      visitor,
      from,
      at: lastSeenAt,
      clientAddress,
      userAgent,
      requests: pendingRequests,
      who
    }
  }
}
