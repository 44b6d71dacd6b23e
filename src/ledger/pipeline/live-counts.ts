// Owns live counts of open sessions in memory, so that a request can be let in, refused or routed at once: by endpoint for the
// session limit (`--max-sessions-per-endpoint`), by gateway for balancing (`--upstream` given several times).
//
// A count is what the store counts, and the changes that this process has seen since. What the store has already is known
// by the offset of the outbox: the store commits it together with the entries, and reports it together with its counts.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Closable } from '../../util/startup.js'
import type { Outbox } from './outbox.js'

/** How often the store is read. Chosen: sessions that idle make room within a second, as they are closed once a second. */
const READ_INTERVAL_MS = 1_000

/** What `startLiveCounts` needs. */
export interface LiveCountsOptions {
  /** Reads the store: its counts by key, and up to which offset of the outbox they include everything. */
  read: (instanceId: string) => Promise<StoredCounts>
  /** While this is false the store is not read. Left out: always. */
  isWanted?: () => boolean
  /** Where this process records its events. */
  outbox: Pick<Outbox, 'instance' | 'lastOffset'>
}

/** What the store counts. */
export interface StoredCounts {
  appliedOffset: number
  counts: Iterable<readonly [key: string, count: number]>
}

/** This process saw a session open (1), or one that it knew end (-1); or the sum of several of these. */
interface Change {
  /** An endpoint's stored id, or the name of a gateway. */
  readonly key: string
  readonly by: number
  /** The outbox entry that reports it; undefined until it is written. */
  offset: number | undefined
}

/**
 * Exact for one proxy at every moment, but for ends concluded from silence: those, and all that other proxies of the
 * store do, show when the store is read the next time. While the store cannot be read, what was last known holds on.
 * Session-less clients hold no session and are not counted.
 */
export class LiveCounts implements Closable {
  readonly #options: LiveCountsOptions
  readonly #closing = new AbortController()
  /** The store's counts when it was last read, and the changes since. */
  #counts = new Map<string, number>()
  /** Changes that the store did not have then, oldest first. */
  #changes: Change[] = []
  #appliedOffset = 0
  /** The last entry whose change is in a sum. Until the store has it, its counts cannot be told apart from the sum. */
  #summedOffset = 0

  constructor(options: LiveCountsOptions) {
    this.#options = options
    void this.#run()
  }

  /** Open sessions of an endpoint or a gateway. */
  of(key: string): number {
    return Math.max(this.#counts.get(key) ?? 0, 0)
  }

  /** Takes `SessionTracker`'s `onChange`. `recorded` is to be called once the event of the change is recorded. */
  change(key: string, by: 1 | -1): void {
    this.#changes.push({ key, by, offset: undefined })
    add(this.#counts, key, by)
  }

  /**
   * The event of the last change is in the outbox, as its last entry, and so is, before it, that of a session that ended in
   * the same moment. An event that could not be written gets the number of the entry before it: it counts until the store
   * is read again.
   */
  recorded(): void {
    for (let i = this.#changes.length - 1; i >= 0 && this.#changes[i]!.offset === undefined; i--)
      this.#changes[i]!.offset = this.#options.outbox.lastOffset
  }

  /** A read under way is not waited for. */
  close(): Promise<void> {
    this.#closing.abort()
    return Promise.resolve()
  }

  /** Reads the store. This happens once a second by itself; two reads must not overlap. */
  async read(): Promise<void> {
    const { read, isWanted, outbox } = this.#options
    const before = this.#appliedOffset
    try {
      if (isWanted?.() !== false) this.#merge(await read(outbox.instance.id))
    } catch {
      // The shipper reports a store that fails.
    }
    // While the store makes no progress, changes are summed up: memory does not grow with an outage.
    if (this.#appliedOffset === before) this.#sumUp()
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      await this.read()
      await sleep(READ_INTERVAL_MS, undefined, { signal }).catch(() => undefined)
    }
  }

  #merge({ appliedOffset, counts }: StoredCounts): void {
    this.#appliedOffset = appliedOffset
    if (appliedOffset < this.#summedOffset) return
    this.#changes = this.#changes.filter(({ offset }) => offset === undefined || offset > appliedOffset)
    this.#counts = new Map(counts)
    for (const { key, by } of this.#changes) add(this.#counts, key, by)
  }

  #sumUp(): void {
    if (this.#changes.length === 0) return
    const sums = new Map<string, number>()
    for (const { key, by } of this.#changes) add(sums, key, by)
    const offset = (this.#summedOffset = this.#options.outbox.lastOffset)
    this.#changes = Array.from(sums, ([key, by]) => ({ key, by, offset }))
  }
}

/** Starts with no counts; the store is read at once, and then once a second. */
export const startLiveCounts = (options: LiveCountsOptions): LiveCounts => new LiveCounts(options)

function add(counts: Map<string, number>, key: string, by: number): void {
  const count = (counts.get(key) ?? 0) + by
  if (count === 0) counts.delete(key)
  else counts.set(key, count)
}
