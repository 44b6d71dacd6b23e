// Owns asking after suspects: one ping each, and after a restart of the upstream the sessions that this proxy saw last.
import { setTimeout as sleep } from 'node:timers/promises'
import type { SessionRow, StoreReader } from '../ledger/store-port.js'
import { Transport } from '../mcp/transports.js'
import { type PingResponse } from '../sessions/observations.js'
import { pingSignal, type Signal } from '../sessions/signals.js'
import type { Suspect, Suspects } from '../sessions/suspects.js'
import { JobPool } from '../util/job-pool.js'

/** A suspect waits for one to two of these: its client's own next request may tell. */
const TICK_MS = 400
const PINGS_AT_ONCE = 32
const PAGE_SESSIONS = 1_000
const RETRY_MS = 1_000

export interface SuspicionOptions {
  suspects: Suspects
  suspect: (session: Suspect) => void
  /** Rejects when there is no answer. */
  ping: (session: Suspect) => Promise<PingResponse>
  observe: (answer: PingResponse) => void
  /** Whether the upstream takes no connections: then nobody is asked. */
  isAway: () => boolean
  store: StoreReader
  /** This proxy, as `seenBy` names it: others may stand before other upstreams. */
  instanceId: string
  /** Resolves when the store has what was observed so far, or cannot have it soon. */
  shipped: () => Promise<void>
}

export class Suspicion {
  readonly #options: SuspicionOptions
  readonly #stopping = new AbortController()
  readonly #timer: NodeJS.Timeout

  constructor(options: SuspicionOptions) {
    this.#options = options
    const { suspects, isAway } = options
    const crew = new JobPool(
      PINGS_AT_ONCE,
      () => (this.#stopping.signal.aborted || isAway() ? undefined : suspects.next()),
      session => this.#ask(session)
    )
    this.#timer = setInterval(() => {
      suspects.tick()
      crew.call()
    }, TICK_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#stopping.abort()
  }

  /** The upstream was away and came back at `at` (epoch ms): whoever was not seen since is suspect. */
  async upstreamReturned(at: number): Promise<void> {
    for await (const page of this.#unseen(at)) page.forEach(this.#options.suspect)
  }

  /**
   * The upstream may have restarted at `at` (epoch ms): one of its sessions is asked, and if it is gone, all are
   * suspect. Whether it was seen to live on.
   */
  async upstreamLost(at: number): Promise<boolean> {
    for await (const page of this.#unseen(at)) {
      const [sample] = page.sort((a, b) => b.lastSeenAt - a.lastSeenAt)
      const signal = sample && (await this.#ask(sample))
      if (signal === 'gone') await this.upstreamReturned(at)
      return signal === 'living'
    }
    return false
  }

  /** What the answer says; no answer proves nothing. */
  async #ask({ endpointId, sessionId }: Suspect): Promise<Signal> {
    const { ping, observe } = this.#options
    try {
      const answer = await ping({ endpointId, sessionId })
      observe(answer)
      return pingSignal(answer)
    } catch {
      return 'none'
    }
  }

  /** The open sessions that this proxy saw last, before `at`; pages without any are left out. */
  async *#unseen(at: number): AsyncGenerator<SessionRow[]> {
    const { store, instanceId, shipped } = this.#options
    const query = { transport: Transport.streamable, open: true, start: 0, end: at, limit: PAGE_SESSIONS }
    await shipped()
    let last: SessionRow | undefined
    do {
      const after = last && { connectAt: last.connectAt, id: last.id }
      const page = await this.#untilAnswered(() => store.connections({ ...query, ...(after && { after }) }))
      const unseen = page.filter(row => row.seenBy === instanceId && row.lastSeenAt < at)
      if (unseen.length > 0) yield unseen
      last = page.length === PAGE_SESSIONS ? page.at(-1) : undefined
    } while (last)
  }

  /** A store that fails is the shipper's to report; here it is asked again. */
  async #untilAnswered(read: () => Promise<SessionRow[]>): Promise<SessionRow[]> {
    const { signal } = this.#stopping
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
