// Owns finding the gateway of a session that this process does not know (session affinity): the ledger says it, or else the
// gateways are asked; and that of a task, for which they are asked.
import { setTimeout as sleep } from 'node:timers/promises'
import { sessionKey, storedEndpointId, type StoredId, storedSessionId } from '../../mcp/stored-ids.js'
import { Transport } from '../../mcp/transports.js'
import type { RequestCredentials, SessionCredentials } from '../../sessions/client-credentials.js'
import { ExpiringCache } from '../../util/expiring-cache.js'
import { type MonotonicMs, monotonicNow, SECOND_MS } from '../../util/time.js'
import { RefusedRequest, UnknownUpstream } from '../http/proxy-errors.js'
import type { NamedSession } from './balancer.js'
import type { NamedTask } from './tasks.js'
import type { Upstream } from './upstream.js'
import type { Upstreams } from './upstreams.js'

/** A store that takes longer is taken for away. Fixed by the specification of this proxy (NEXT §1). */
const LOOK_UP_TIMEOUT_MS = 250
/**
 * So long the ledger is asked again for a session that begins: another proxy has just seen it open, and reports that. Chosen:
 * that takes some milliseconds, on a busy machine seconds.
 */
const BEGINNING_MS = 5 * SECOND_MS
/** Between two look-ups: from the first of these, twice as long each time, to the second. Chosen. */
const MIN_WAIT_MS = 10
const MAX_WAIT_MS = 200
/**
 * What was found is kept for so long. Chosen: the session is remembered with its first accepted request, and one that no
 * gateway has is asked for by its client again and again.
 */
const FOUND_KEPT_MS = 2 * SECOND_MS
/** Chosen: some megabytes. */
const MAX_FOUND = 10_000
/** Sessions for which the gateways are asked within a second; anybody can make up ids. Chosen: a proxy's share after an outage. */
const MAX_ASKED_PER_SECOND = 500
/** Look-ups in the store at once, those that were given up included. Chosen: a store that is silent must not fill the memory. */
const MAX_LOOK_UPS = 200

/** In place of what the store says. */
const SILENT = Symbol('silent')

/** What a gateway says of a session: it has it, it has it not, or its response proves neither. */
export type Says = 'living' | 'gone' | 'none'

/** What `SessionLocator` needs. */
export interface SessionLocatorOptions {
  upstreams: Pick<Upstreams, 'get' | 'all'>
  /** The name of its gateway in the ledger; undefined: it says none. Rejects where the store cannot be read. */
  lookUp: (session: StoredSession) => Promise<string | undefined>
  /**
   * Asks a gateway, as the session's client would. Rejects where there is no response, and where a session that is only
   * beginning cannot be asked for.
   */
  ask: (
    upstream: Upstream,
    session: NamedSession,
    as: SessionCredentials | undefined,
    isBeginning: boolean
  ) => Promise<Says>
  askTask: (upstream: Upstream, task: NamedTask, as: RequestCredentials) => Promise<Says>
}

/** A session as the ledger knows it. */
export interface StoredSession {
  endpointId: StoredId | undefined
  sessionId: StoredId
  transport: NamedSession['transport']
}

/** Each session is looked for once, however many requests of it wait, and in bounded memory. */
export class SessionLocator {
  readonly #options: SessionLocatorOptions
  readonly #found = new ExpiringCache<string | undefined>(FOUND_KEPT_MS, MAX_FOUND)
  #lookUps = 0
  #second: MonotonicMs = 0
  #askedThen = 0

  constructor(options: SessionLocatorOptions) {
    this.#options = options
  }

  /**
   * The name of the session's gateway; undefined: every gateway says that it does not have it, or the id is none that a
   * session can have. Rejects with `UnknownUpstream` while a gateway that may have it does not answer, and with
   * `RefusedRequest` when too many sessions are looked for.
   * @param as The credentials of a request of it, where there is one.
   * @param isBeginning Its client may not have sent anything in it yet.
   */
  async locate(
    session: NamedSession,
    as?: SessionCredentials,
    isBeginning = false
  ): Promise<string | undefined> {
    const { transport } = session
    const sessionId = storedSessionId(session.sessionId)
    const endpointId = session.endpointId === undefined ? undefined : storedEndpointId(session.endpointId)
    if (sessionId === undefined) return undefined
    const key = `${transport} ${isBeginning} ${sessionKey({ endpointId: endpointId ?? '', sessionId })}`
    return await this.#found.get(key, async () => {
      const inLedger = await this.#inLedger({ endpointId, sessionId, transport }, isBeginning)
      if (inLedger !== undefined && this.#options.upstreams.get(inLedger) !== undefined) return inLedger
      return await this.#ask(upstream => this.#options.ask(upstream, session, as, isBeginning))
    })
  }

  /** As `locate`; the ledger does not know tasks. */
  async locateTask(task: NamedTask, as: RequestCredentials): Promise<string | undefined> {
    const { askTask } = this.#options
    const key = `task ${JSON.stringify([task.endpointId, task.taskId])}`
    return await this.#found.get(key, () => this.#ask(upstream => askTask(upstream, task, as)))
  }

  async #inLedger(session: StoredSession, isBeginning: boolean): Promise<string | undefined> {
    // A legacy session that begins cannot be asked for.
    const mustWait = isBeginning && session.transport === Transport.sse
    const until = monotonicNow() + (isBeginning ? BEGINNING_MS : 0)
    for (let waitMs = MIN_WAIT_MS; ; waitMs = Math.min(2 * waitMs, MAX_WAIT_MS)) {
      const found = await this.#lookUp(session, mustWait ? until - monotonicNow() : LOOK_UP_TIMEOUT_MS)
      if (found !== undefined && found !== SILENT) return found
      const isOver = !isBeginning || monotonicNow() + waitMs > until
      if (isOver || (found === SILENT && !mustWait)) return undefined
      await sleep(waitMs, undefined, { ref: false })
    }
  }

  /** Undefined: the store does not know it. `SILENT`: the store does not say it in time. */
  async #lookUp(session: StoredSession, timeoutMs: number): Promise<string | typeof SILENT | undefined> {
    if (this.#lookUps >= MAX_LOOK_UPS) return SILENT
    this.#lookUps++
    const looking = this.#options
      .lookUp(session)
      .catch((): typeof SILENT => SILENT)
      .finally(() => this.#lookUps--)
    return await Promise.race([looking, sleep<typeof SILENT>(timeoutMs, SILENT, { ref: false })])
  }

  async #ask(question: (upstream: Upstream) => Promise<Says>): Promise<string | undefined> {
    this.#countAsked()
    const unheard: string[] = []
    const unsure: string[] = []
    const asked = Array.from(this.#options.upstreams.all, async upstream => {
      const says = upstream.isUp ? await question(upstream).catch(() => undefined) : undefined
      if (says === 'living') return upstream.name
      if (says === undefined) unheard.push(upstream.name)
      else if (says === 'none') unsure.push(upstream.name)
      throw new UnknownUpstream(upstream.name)
    })
    try {
      return await Promise.any(asked)
    } catch {
      if (unheard.length === 0) return unsure[0]
      throw new UnknownUpstream(
        `The gateway of this request is not known, as ${unheard.join(' and ')} cannot be asked`
      )
    }
  }

  #countAsked(): void {
    const now = monotonicNow()
    if (now - this.#second >= SECOND_MS) {
      this.#second = now
      this.#askedThen = 0
    }
    if (++this.#askedThen > MAX_ASKED_PER_SECOND)
      throw new RefusedRequest('Too many unknown sessions are looked for', 503, 'requests')
  }
}
