// Owns the visits of session-less clients that this process sees: accepted requests and listen streams in, presence out.
import { randomUUID } from 'node:crypto'
import {
  type ClientInfo,
  mergeClientInfo,
  revisionOf,
  storedUserAgent,
  unknownClient
} from '../mcp/client-info.js'
import { LISTEN_METHOD } from '../mcp/methods.js'
import { OTHER_ENDPOINT, type StoredId } from '../mcp/stored-ids.js'
import { networkOf } from '../util/ipv6.js'
import type { EpochMs } from '../util/time.js'
import type { Attributed, VisitEvent } from './events.js'
import type { Newcomers } from './newcomers.js'
import type { Client, StreamableResponse } from './observations.js'
import { addOutcome, type Outcome } from './outcomes.js'
import { attributed, conversationIn } from './session.js'
import { UseBatching } from './use-batching.js'

/** A client that this process has seen, from its first request until it was idle. */
interface Visit {
  readonly endpointId: StoredId
  readonly visitor: string
  readonly clientAddress: string
  readonly userAgent: string | null
  /** Whose it is. */
  attributed: Attributed
  /** Requests that said nothing of a conversation. */
  unsaid: number
  clientInfo: ClientInfo
  /** Where presence begins that was not yet reported; undefined: all of it was. */
  from: EpochMs | undefined
  lastSeenAt: EpochMs
  /** The last presence that was reported to the ledger. */
  reportedAt: EpochMs
  pendingRequests: number
  pendingOutcome: Outcome | undefined
  /** Listen streams that are open. */
  streams: number
}

/** What those are called who are counted together. */
const OTHER = 'other'
/** How often a client that only listens is reported as present: several times within the idle timeout. Both chosen. */
const MAX_LISTENING_REPORT_MS = 30_000
const REPORTS_PER_IDLE_TIMEOUT = 4

/**
 * Turns what is seen of session-less clients into visits. The first request of a visit is reported at once; presence
 * after it is batched until a `flush` reports it. What it remembers is bounded: a client that was forgotten and is seen
 * again is reported at once, and the ledger merges that with the visit that it knows.
 */
export class VisitTracker {
  /** Clients without a listen stream, least recently seen first. */
  readonly #resting = new Map<string, Visit>()
  readonly #listening = new Map<string, Visit>()
  readonly #unreported: UseBatching<Visit>
  readonly #idleTimeoutMs: number
  readonly #listeningReportMs: number
  readonly #maxRemembered: number
  readonly #newcomers: Newcomers
  /** Accepted requests that were counted for another client than who sent them, since the process started. */
  othersRequests = 0

  /** `idleTimeoutMs` 0: visits never end. */
  constructor(idleTimeoutMs: number, maxRemembered: number, newcomers: Newcomers) {
    this.#idleTimeoutMs = idleTimeoutMs
    this.#listeningReportMs = Math.min(
      (idleTimeoutMs || Infinity) / REPORTS_PER_IDLE_TIMEOUT,
      MAX_LISTENING_REPORT_MS
    )
    this.#unreported = new UseBatching(idleTimeoutMs)
    this.#maxRemembered = maxRemembered
    this.#newcomers = newcomers
  }

  /**
   * The upstream accepted a request without a session. The clients of an address that has too many new ones are counted
   * together, as one client called `other`, on an endpoint called so where theirs is new too.
   */
  request(endpointId: StoredId, visitor: string, response: StreamableResponse): VisitEvent[] {
    const { client, at } = response
    if (this.#current(visitor, at) || this.#newcomers.admit(client.address, endpointId, at))
      return this.#request(endpointId, visitor, response)
    this.othersRequests++
    const place = this.#placeOfOthers(endpointId)
    return this.#request(place, visitorOfOthers(place, client), {
      ...response,
      client: { ...client, userAgent: undefined },
      body: { clientInfo: () => ({ ...unknownClient, clientName: OTHER }) },
      principal: undefined,
      conversation: undefined,
      rpcMethod: undefined
    })
  }

  /** What came of a request of a client, if that is known or counted together with others; the endpoint of its visit. */
  account(endpointId: StoredId, visitor: string, client: Client, outcome: Outcome): StoredId | undefined {
    const others = (): string => visitorOfOthers(this.#placeOfOthers(endpointId), client)
    const visit = this.#known(visitor) ?? this.#known(others())
    if (!visit) return undefined
    visit.pendingOutcome = addOutcome(visit.pendingOutcome, outcome)
    this.#unreported.add(visit)
    return visit.endpointId
  }

  #placeOfOthers(endpointId: StoredId): StoredId {
    return this.#newcomers.knows(endpointId) ? endpointId : OTHER_ENDPOINT
  }

  #request(endpointId: StoredId, visitor: string, response: StreamableResponse): VisitEvent[] {
    const { at } = response
    const protocolVersion = revisionOf(response.protocolVersion)
    let visit = this.#current(visitor, at)
    const events: VisitEvent[] = []
    if (visit) {
      this.#touch(visit, at, 1)
      if (visit.clientInfo.clientName === null && response.body)
        visit.clientInfo = mergeClientInfo(visit.clientInfo, response.body.clientInfo())
      if (visit.clientInfo.protocolVersion === null && protocolVersion !== null)
        visit.clientInfo = { ...visit.clientInfo, protocolVersion }
      if (visit.attributed.conversation === undefined) {
        const conversation = conversationIn(visit, response)
        if (conversation !== undefined) visit.attributed = { ...visit.attributed, conversation }
      }
    } else {
      visit = {
        endpointId,
        visitor,
        clientAddress: response.client.address,
        userAgent: storedUserAgent(response.client.userAgent),
        attributed: attributed(response),
        unsaid: 0,
        // Asked until the name is known: it parses the body.
        clientInfo: { ...(response.body?.clientInfo() ?? unknownClient), protocolVersion },
        from: at,
        lastSeenAt: at,
        reportedAt: at,
        pendingRequests: 1,
        pendingOutcome: undefined,
        streams: 0
      }
      events.push(...this.#rest(visit), this.#report(visit))
    }
    if (response.rpcMethod === LISTEN_METHOD) this.#listen(visit, at)
    return events
  }

  /** A message of the server passed to a client: activity of a visit, but it begins none. */
  message(visitor: string, at: EpochMs): void {
    const visit = this.#current(visitor, at)
    if (visit) this.#touch(visit, at, 0)
  }

  /** A listen stream of the client ended. */
  listenEnded(visitor: string, at: EpochMs): VisitEvent[] {
    const visit = this.#listening.get(visitor)
    if (!visit) return []
    this.#touch(visit, at, 0)
    if (--visit.streams > 0) return []
    this.#listening.delete(visitor)
    return this.#rest(visit)
  }

  /** Reports the presence that is due, with one event a client; clients that listen are present at `now`. */
  flush(now: EpochMs, atLeast?: number): VisitEvent[] {
    for (const visit of this.#listening.values()) {
      // If the clock was put back, presence is reported all the same.
      const due = Math.abs(now - visit.lastSeenAt) >= this.#listeningReportMs
      if (due || this.#unreported.has(visit)) this.#touch(visit, now, 0)
    }
    const events = this.#unreported.flush(now, atLeast).map(visit => this.#report(visit))
    for (const visitor of this.#resting.keys()) {
      if (this.#current(visitor, now)) break
      this.#resting.delete(visitor)
    }
    return events
  }

  /** The visit that the client is on at `at`; one that idled before is over. */
  #current(visitor: string, at: EpochMs): Visit | undefined {
    const visit = this.#known(visitor)
    if (!visit || visit.streams > 0 || this.#idleTimeoutMs === 0) return visit
    return at - visit.lastSeenAt < this.#idleTimeoutMs ? visit : undefined
  }

  #known(visitor: string): Visit | undefined {
    return this.#listening.get(visitor) ?? this.#resting.get(visitor)
  }

  #touch(visit: Visit, at: EpochMs, requests: 0 | 1): void {
    visit.pendingRequests += requests
    visit.from = Math.min(visit.from ?? at, at)
    visit.lastSeenAt = Math.max(visit.lastSeenAt, at)
    this.#unreported.add(visit)
    if (this.#resting.delete(visit.visitor)) this.#resting.set(visit.visitor, visit)
  }

  #listen(visit: Visit, at: EpochMs): void {
    visit.streams++
    visit.from ??= at
    this.#resting.delete(visit.visitor)
    this.#listening.set(visit.visitor, visit)
  }

  /** Remembers a client without a stream. If another visit is replaced or makes room, its unreported presence comes out. */
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
    return this.#unreported.delete(visit) ? [this.#report(visit)] : []
  }

  /** Reports what is pending of a visit, and takes it out of it. */
  #report(visit: Visit): VisitEvent {
    const { endpointId, visitor, clientAddress, userAgent, clientInfo, lastSeenAt, pendingRequests } = visit
    const { pendingOutcome } = visit
    visit.pendingOutcome = undefined
    const from = visit.from ?? lastSeenAt
    visit.pendingRequests = 0
    visit.reportedAt = lastSeenAt
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
      who: clientInfo,
      ...(pendingOutcome && { outcome: pendingOutcome }),
      ...visit.attributed
    }
  }
}

/** Under which name the clients of an address are counted together on this endpoint. */
const visitorOfOthers = (place: StoredId, { address }: Client): string =>
  `${OTHER}\n${place}\n${networkOf(address)}`
