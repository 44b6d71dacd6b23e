// Owns the comparison: the gateway's own live sessions with the open ones of the proxy in front of it.
import type { Gateway } from '../support/gateway.js'
import type { ConnectionJson, Turnstile } from '../support/turnstile.js'

/** How long a change may take until both know of it. */
const KNOWN_WITHIN_MS = 2_000

export class Reconciler {
  readonly name: string
  readonly #gateway: Gateway
  readonly #turnstile: Turnstile
  readonly #told: ReadonlySet<string>
  #own = new Set<string>()
  #open = new Set<string>()
  /** When sessions came into or left either list. */
  readonly #changedAt = new Map<string, number>()
  /** Sessions that are in one list only, with the moment they were first seen so. */
  #since = new Map<string, number>()
  /** Opened for clients that were killed before they were told: no proxy could know of these. */
  readonly #untold = new Set<string>()
  #polledAt = Date.now()
  polls = 0
  /** The greatest difference of the two counts, and the longest time that a session was in one list only. */
  greatest = 0
  longestMs = 0
  readonly violations: string[] = []

  /** `told`: the sessions that clients know of, as `gateway endpoint session`. */
  constructor(name: string, gateway: Gateway, turnstile: Turnstile, told: ReadonlySet<string>) {
    this.name = name
    this.#gateway = gateway
    this.#turnstile = turnstile
    this.#told = told
  }

  /** One comparison: how many sessions the gateway has, and whether the proxy has the same. */
  async poll(): Promise<{ live: number; agree: boolean }> {
    const now = Date.now()
    const [live, count, open] = await Promise.all([
      this.#live(),
      this.#turnstile.count(),
      this.#openRows(now)
    ])
    const own = this.#known(live, open)
    for (const key of [...difference(own, this.#own), ...difference(open, this.#open)])
      this.#changedAt.set(key, now)
    // A change is seen at a poll, and may be as old as the one before.
    const recently = this.#polledAt - KNOWN_WITHIN_MS
    for (const [key, at] of this.#changedAt) if (at < recently) this.#changedAt.delete(key)
    const off = Math.abs(count - own.size)
    if (off > this.#changedAt.size)
      this.#violation(`${count} instead of ${own.size}, ${this.#changedAt.size} changed just now`)
    this.greatest = Math.max(this.greatest, off)

    // The lists are as far apart in time as it took to read them.
    const readAt = Date.now()
    const different = difference(own, open)
    this.#since = new Map(different.map(key => [key, this.#since.get(key) ?? readAt]))
    for (const [key, since] of this.#since) {
      const forMs = now - since
      this.longestMs = Math.max(this.longestMs, forMs)
      if (forMs > KNOWN_WITHIN_MS)
        this.#violation(`${key} is only in the ${own.has(key) ? 'gateway' : 'proxy'} for ${forMs} ms`)
    }
    this.#own = own
    this.#open = open
    this.#polledAt = now
    this.polls++
    return { live: live.length, agree: different.length === 0 && off === 0 }
  }

  /** How many sessions ended for each reason. */
  async outcome(): Promise<Record<string, number>> {
    const counts: Record<string, number> = {}
    for (const { reason } of await this.#turnstile.connections())
      counts[reason ?? 'open'] = (counts[reason ?? 'open'] ?? 0) + 1
    return { ...counts, 'never told': this.#untold.size }
  }

  async #live(): Promise<string[]> {
    const { endpoints } = await this.#gateway.sessions()
    return Object.entries(endpoints).flatMap(([id, { streamable, sse }]) =>
      [...streamable, ...sse].map(session => `${id} ${session}`)
    )
  }

  async #openRows(now: number): Promise<Set<string>> {
    const rows = await this.#turnstile.query<ConnectionJson[]>(
      `/api/connections/endpoint?start_time=${now}&end_time=${now + 60_000}&limit=5000`
    )
    const open = rows.filter(row => row.reason === null)
    return new Set(open.map(row => `${row.endpoint_id} ${row.session_id}`))
  }

  /** The gateway's sessions without those of which nobody was told, yet or ever. */
  #known(live: readonly string[], open: ReadonlySet<string>): Set<string> {
    const known = new Set<string>()
    for (const key of live) {
      if (open.has(key) || this.#told.has(`${this.name} ${key}`)) {
        known.add(key)
        this.#untold.delete(key)
      } else this.#untold.add(key)
    }
    return known
  }

  #violation(what: string): void {
    this.violations.push(`${this.name}: ${what}`)
  }
}

/** What is in one of them only. */
function difference(one: ReadonlySet<string>, other: ReadonlySet<string>): string[] {
  return [...[...one].filter(key => !other.has(key)), ...[...other].filter(key => !one.has(key))]
}
