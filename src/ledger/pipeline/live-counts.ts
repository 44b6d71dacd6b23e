// Owns the figure of open sessions by endpoint that is asked before a request may open another: from memory, at once.
import { Transport } from '../../mcp/transports.js'
import type { StoreReader } from '../store-port.js'

const FOLLOW_INTERVAL_MS = 1_000

/**
 * What the store counted at the last look, and what this process has seen since. It is exact for one proxy, but for
 * ends concluded from silence, which show at the next look, and so does all that other proxies of the store do. While
 * the store does not answer, what was last known holds on. Session-less clients hold no session and are not counted.
 */
export class LiveCounts {
  #stored = new Map<string, number>()
  /** Seen before the batch that is under way was read from the outbox: part of what was shipped since the last look. */
  readonly #shipped = new Map<string, number>()
  readonly #seen = new Map<string, number>()
  #followAtMs = 0

  of(endpointId: string): number {
    const count = [this.#stored, this.#shipped, this.#seen].reduce(
      (sum, counts) => sum + (counts.get(endpointId) ?? 0),
      0
    )
    return Math.max(count, 0)
  }

  /** This process saw a session open (1), or one that it knew end (-1). */
  change(endpointId: string, by: 1 | -1): void {
    add(this.#seen, endpointId, by)
  }

  /** The batch about to be applied holds all that was seen so far. */
  outboxRead(): void {
    for (const [endpointId, by] of this.#seen) add(this.#shipped, endpointId, by)
    this.#seen.clear()
  }

  /** Looks into the store, if it is time to. To be called when that batch was applied, and before the next one is read. */
  async follow(store: StoreReader): Promise<void> {
    if (performance.now() < this.#followAtMs) return
    this.#followAtMs = performance.now() + FOLLOW_INTERVAL_MS
    const stored = new Map<string, number>()
    for (const transport of [Transport.sse, Transport.streamable]) {
      for (const { endpointId, connectNum } of await store.counts({ transport }))
        add(stored, endpointId, connectNum)
    }
    this.#stored = stored
    this.#shipped.clear()
  }
}

function add(counts: Map<string, number>, endpointId: string, by: number): void {
  const count = (counts.get(endpointId) ?? 0) + by
  if (count === 0) counts.delete(endpointId)
  else counts.set(endpointId, count)
}
