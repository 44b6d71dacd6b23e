// Owns following the store's feed while live monitoring has subscribers: one query a second, and each opening and end is
// reported once, an opening with the name of its client.
import { setTimeout as sleep } from 'node:timers/promises'
import type { FeedChange, FeedPart, StoreReader } from '../../ledger/store-port.js'
import { Transport } from '../../mcp/transports.js'
import { reasonOf } from '../../util/errors.js'
import type { Log } from '../../util/log.js'
import { OutageLog } from '../../util/outage-log.js'
import { type MonotonicMs, monotonicNow, SECOND_MS } from '../../util/time.js'

/** How often the feed is read. Chosen: a change is reported within two seconds. */
const INTERVAL_MS = SECOND_MS
/** Changes read by one query; where there are more, the next query follows at once. Chosen. */
const MAX_CHANGES = 500
/** How long a change without the name of its client is kept back: the name may be on its way to the store. Chosen. */
const INTRODUCTION_MS = 400
/** How often such a change is read again. Chosen. */
const REREAD_MS = 200
/** A client that has not been named so long after its opening has no name. Chosen. */
const NAMELESS_MS = 5 * SECOND_MS
/** Between two queries, so that a slow store is not asked all the time. */
const MIN_REST_MS = INTERVAL_MS - INTRODUCTION_MS

/** Called with changes in the order of their commits; the next call waits until it resolves. */
export type OnChanges = (changes: FeedChange[]) => Promise<void>

/** Follows the feed from `start` to `stop`. */
export class FeedFollower {
  readonly #store: Pick<StoreReader, 'feed'>
  readonly #onChanges: OnChanges
  readonly #outage: OutageLog
  #stopping: AbortController | undefined
  #started: Promise<number> | undefined

  constructor(store: Pick<StoreReader, 'feed'>, log: Log, onChanges: OnChanges) {
    this.#store = store
    this.#onChanges = onChanges
    this.#outage = new OutageLog(log, {
      failing: 'the store cannot be read; live monitoring waits',
      recovered: 'the store can be read again'
    })
  }

  /** Every change that is committed after this has resolved is reported. Rejects when the store cannot be read. */
  async start(): Promise<void> {
    this.#started ??= this.#begin()
    await this.#started
  }

  /** Stops following; `start` may be called again. */
  stop(): void {
    this.#stopping?.abort()
    this.#stopping = undefined
    this.#started = undefined
  }

  async #begin(): Promise<number> {
    const stopping = (this.#stopping = new AbortController())
    try {
      const { position } = await this.#store.feed({ limit: 1 })
      void this.#follow(position, stopping.signal)
      return position
    } catch (error) {
      if (this.#stopping === stopping) this.stop()
      throw error
    }
  }

  async #follow(from: number, stopped: AbortSignal): Promise<void> {
    let after = from
    let more = false
    let askedAt: MonotonicMs = monotonicNow()
    while (!stopped.aborted) {
      if (!more) await pause(Math.max(askedAt + INTERVAL_MS - monotonicNow(), MIN_REST_MS), stopped)
      askedAt = monotonicNow()
      try {
        const { position, changes } = await this.#read(after, stopped)
        this.#outage.recovered()
        if (changes.length > 0) await this.#onChanges(changes)
        more = position - after >= MAX_CHANGES
        after = position
      } catch (error) {
        more = false
        this.#outage.failed({ reason: reasonOf(error) })
      }
    }
  }

  /** The next changes. While the name of a client is missing, they are read again, for a short time. */
  async #read(after: number, stopped: AbortSignal): Promise<FeedPart> {
    let part = await this.#store.feed({ after, limit: MAX_CHANGES })
    const until = monotonicNow() + INTRODUCTION_MS
    while (part.changes.some(isNamedSoon) && monotonicNow() < until) {
      await pause(REREAD_MS, stopped)
      if (stopped.aborted) return { position: after, changes: [] }
      part = await this.#store.feed({ after, limit: part.position - after })
    }
    return part
  }
}

function isNamedSoon(change: FeedChange): boolean {
  if (change.kind === 'closed') return false
  const { transport, reason, clientName, protocolVersion, connectAt } = change.session
  const known = clientName !== null && protocolVersion !== null
  if (known || reason !== null || transport === Transport.sessionless) return false
  return connectAt > Date.now() - NAMELESS_MS
}

const pause = (ms: number, stopped: AbortSignal): Promise<void> =>
  sleep(ms, undefined, { signal: stopped, ref: false }).catch(() => undefined)
