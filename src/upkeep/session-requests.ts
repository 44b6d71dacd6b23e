// Owns which gateway the proxy's own requests for a session go to: that of the session.
import type { SessionIds, StoredId, WireId } from '../mcp/stored-ids.js'
import { Transport } from '../mcp/transports.js'
import type { NamedSession } from '../proxy/balancing/balancer.js'
import type { Says, SessionLocator } from '../proxy/balancing/session-locator.js'
import type { NamedTask } from '../proxy/balancing/tasks.js'
import type { Upstream } from '../proxy/balancing/upstream.js'
import type { Upstreams } from '../proxy/balancing/upstreams.js'
import type {
  ClientCredentials,
  RequestCredentials,
  SessionCredentials
} from '../sessions/client-credentials.js'
import type { PingResponse } from '../sessions/observations.js'
import type { Suspect } from '../sessions/suspects.js'
import type { Closable } from '../util/startup.js'
import { epochNow } from '../util/time.js'
import { UnreachableSession, UpstreamRequests, type UpstreamRequestsOptions } from './upstream-requests.js'

/** What `SessionRequests` needs. */
export interface SessionRequestsOptions extends Omit<UpstreamRequestsOptions, 'upstream'> {
  upstreams: Upstreams
  credentials: ClientCredentials
  /** The gateway of a session, if this process knows it. */
  upstreamOf: (session: NamedSession) => string | undefined
  /** Finds the gateway of a session that this process does not know. */
  locate: SessionLocator['locate']
}

/** A streamable session, by its id as on the wire where that is known, and perhaps with its gateway. */
export interface RequestedSession {
  endpointId: StoredId
  sessionId: WireId | StoredId
  upstream?: string | null | undefined
}

/** All requests reject as those of `UpstreamRequests`, and where the session's gateway is not known. */
export class SessionRequests implements Closable {
  readonly #options: SessionRequestsOptions
  readonly #requests = new Map<Upstream, UpstreamRequests>()
  readonly #attached: Closable

  constructor(options: SessionRequestsOptions) {
    this.#options = options
    this.#attached = options.upstreams.attach(upstream => {
      const requests = new UpstreamRequests({ ...options, upstream: upstream.url })
      this.#requests.set(upstream, requests)
      return {
        close: () => {
          this.#requests.delete(upstream)
          return requests.close()
        }
      }
    })
  }

  /** Whether it has the credentials of the session's client. */
  knows({ endpointId, sessionId }: SessionIds): boolean {
    return this.#options.credentials.of(endpointId, sessionId) !== undefined
  }

  /** Sends a `ping` on the session. Where all gateways said that they do not have it, that is the response. */
  async ping(session: Suspect): Promise<PingResponse> {
    const requests = await this.#requestsFor(session)
    if (requests !== undefined) return await requests.ping(session)
    const { endpointId, sessionId } = session
    const found = { status: 404, sessionNotFound: true, at: epochNow() }
    return { kind: 'ping-response', endpointId, sessionId, ...found }
  }

  /** Sends the DELETE of a session; the status of the response. `speaker`: as in `UpstreamRequests.end`. */
  async end(session: RequestedSession, speaker?: RequestCredentials): Promise<number> {
    const requests = await this.#requestsFor(session)
    if (requests === undefined) throw new UnreachableSession('no gateway has the session')
    return await requests.end(session, speaker)
  }

  /** Whether a gateway has a session, asked as its client would. */
  async ask(
    upstream: Upstream,
    session: NamedSession,
    as: SessionCredentials | undefined,
    isBeginning: boolean
  ): Promise<Says> {
    const requests = this.#requests.get(upstream)
    if (requests === undefined) throw new UnreachableSession('its gateway was removed')
    return await requests.ask(session, as, isBeginning)
  }

  /** Whether a gateway has a task, asked as its client would. */
  async askTask(upstream: Upstream, task: NamedTask, as: RequestCredentials): Promise<Says> {
    const requests = this.#requests.get(upstream)
    if (requests === undefined) throw new UnreachableSession('the gateway was removed')
    return await requests.askTask(task, as)
  }

  /** Requests under way reject. */
  async close(): Promise<void> {
    await this.#attached.close()
  }

  /** Undefined where no gateway has it. */
  async #requestsFor({ upstream: named, ...ids }: RequestedSession): Promise<UpstreamRequests | undefined> {
    const { upstreams, upstreamOf, locate } = this.#options
    const session = { ...ids, transport: Transport.streamable }
    const find = (name: string | null | undefined): Upstream | undefined =>
      name == null ? undefined : upstreams.get(name)
    const upstream = upstreams.only ?? find(named) ?? find(upstreamOf(session)) ?? find(await locate(session))
    if (upstream === undefined) return undefined
    const requests = this.#requests.get(upstream)
    if (requests === undefined) throw new UnreachableSession('its gateway was removed')
    return requests
  }
}
