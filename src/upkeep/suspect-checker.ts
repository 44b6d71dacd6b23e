// Owns checking suspects (`--confirm-suspects`): a session that may be gone is pinged once, and so are, after a restart of
// the upstream, the sessions that this proxy saw last.
import { setTimeout as sleep } from 'node:timers/promises'
import { lastProofOf } from '../ledger/model/merge.js'
import type { SessionRow, StoreReader } from '../ledger/store-port.js'
import { Transport } from '../mcp/transports.js'
import type { PingResponse } from '../sessions/observations.js'
import { pingSignal, type Signal } from '../sessions/signals.js'
import type { Suspect, Suspects } from '../sessions/suspects.js'
import { JobPool } from '../util/job-pool.js'
import type { Closable } from '../util/startup.js'
import type { EpochMs } from '../util/time.js'

/**
 * A suspect waits for one to two ticks before it is pinged: the next request of its client may make that needless. Chosen
 * so that the count is right within 2 s of the end of a session's stream.
 */
const TICK_MS = 400
/** Chosen: half of the connections that the proxy opens for its own requests. */
const MAX_CONCURRENT_PINGS = 32
/** So many sessions are asked for a sample, until the response to one proves something. Chosen. */
const MAX_SAMPLES = 8
/** Rows read from the store at once. Chosen. */
const PAGE_SESSIONS = 1_000
/** How soon a store that cannot be read is asked again. Chosen. */
const RETRY_MS = 1_000

/** What `startSuspectChecker` needs. */
export interface SuspectCheckerOptions {
  suspects: Suspects
  /** Pings a session as its client would. Rejects when there is no response. */
  ping: (session: Suspect) => Promise<PingResponse>
  /** Takes each response. */
  observe: (response: PingResponse) => void
  /** Whether the gateway of a session takes no connections: then it is not pinged, and stays a suspect. */
  isAway: (session: Suspect) => boolean
  store: Pick<StoreReader, 'connections'>
  /** This proxy, as `seenBy` names it: other proxies of the store may stand before other upstreams. */
  instanceId: string
  /** Resolves when the store has what was observed so far, or cannot have it soon. */
  shipped: () => Promise<void>
}

/** Pings suspects, as they become due, until it is closed. */
export class SuspectChecker implements Closable {
  readonly #options: SuspectCheckerOptions
  readonly #closing = new AbortController()
  readonly #timer: NodeJS.Timeout

  constructor(options: SuspectCheckerOptions) {
    this.#options = options
    const { suspects, isAway } = options
    const pings = new JobPool(
      MAX_CONCURRENT_PINGS,
      () => (this.#closing.signal.aborted ? undefined : suspects.next()),
      session => (isAway(session) ? this.#putBack(session) : this.#ping(session))
    )
    this.#timer = setInterval(() => {
      suspects.tick()
      pings.call()
    }, TICK_MS)
  }

  /**
   * A gateway may have restarted at `at`: one of its sessions is pinged, and if that one is gone, all that were not
   * seen since are suspects. Returns whether the upstream still knows that session.
   *
   * Not all of them are pinged at once: an upstream that keeps its sessions in a store (rmcp 1.6, `SessionStore`) answers
   * the first request of each session by bringing it to life again, and no response tells that from one that lived on. So
   * one session at most is woken, the one used last, whose client most likely is still there.
   * @param upstream The name of the gateway; undefined where all sessions are of one.
   */
  async upstreamMayHaveRestarted(at: EpochMs, upstream?: string): Promise<boolean> {
    for await (const page of this.#unseenSince(at, upstream)) {
      for (const sample of page.sort((a, b) => b.lastSeenAt - a.lastSeenAt).slice(0, MAX_SAMPLES)) {
        const signal = await this.#ping(sample)
        if (signal === 'none') continue
        if (signal === 'gone') await this.#suspectUnseenSince(at, upstream)
        return signal === 'living'
      }
      return false
    }
    return false
  }

  /** Pings under way are not waited for. */
  close(): Promise<void> {
    clearInterval(this.#timer)
    this.#closing.abort()
    return Promise.resolve()
  }

  #putBack(session: Suspect): Promise<void> {
    this.#options.suspects.add(session)
    return Promise.resolve()
  }

  async #suspectUnseenSince(at: EpochMs, upstream: string | undefined): Promise<void> {
    for await (const page of this.#unseenSince(at, upstream))
      page.forEach(row => this.#options.suspects.add(row))
  }

  /** What the response to a ping proves; no response proves nothing. */
  async #ping({ endpointId, sessionId, upstream = null }: Suspect): Promise<Signal> {
    const { ping, observe } = this.#options
    try {
      const response = await ping({ endpointId, sessionId, upstream })
      observe(response)
      return pingSignal(response)
    } catch {
      return 'none'
    }
  }

  /** The open sessions that this proxy saw last, and that the upstream knew last before `at`; pages without any are left out. */
  async *#unseenSince(at: EpochMs, upstream: string | undefined): AsyncGenerator<SessionRow[]> {
    const { store, instanceId, shipped } = this.#options
    const query = {
      ...{ transport: Transport.streamable, open: true, start: 0, end: at, limit: PAGE_SESSIONS },
      ...(upstream !== undefined && { upstream })
    }
    await shipped()
    let last: SessionRow | undefined
    do {
      const after = last && { connectAt: last.connectAt, id: last.id }
      const page = await this.#readPage(() => store.connections({ ...query, ...(after && { after }) }))
      const unseen = page.filter(row => row.seenBy === instanceId && lastProofOf(row) < at)
      if (unseen.length > 0) yield unseen
      last = page.length === PAGE_SESSIONS ? page.at(-1) : undefined
    } while (last)
  }

  /** Retries until the store can be read; the shipper reports that it cannot. Returns no rows once this is closed. */
  async #readPage(read: () => Promise<SessionRow[]>): Promise<SessionRow[]> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      try {
        return await read()
      } catch {
        await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined)
      }
    }
    return []
  }
}

/** Starts to ping the suspects. */
export const startSuspectChecker = (options: SuspectCheckerOptions): SuspectChecker =>
  new SuspectChecker(options)
