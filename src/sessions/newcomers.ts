// Owns how many new session-less clients an address may have in a minute: anyone can make up as many as there are requests.
import type { StoredId } from '../mcp/stored-ids.js'
import { networkOf } from '../util/ipv6.js'
import { type EpochMs, MINUTE_MS } from '../util/time.js'

/** Addresses that are told apart in a minute; those beyond share one limit. Chosen: a megabyte. */
const MAX_ADDRESSES = 10_000
/** Endpoints that are known to have clients; beyond that the first is forgotten. Chosen: a megabyte. */
const MAX_ENDPOINTS = 10_000

/** Counts new clients by address, minute by minute. */
export class Newcomers {
  readonly #maxPerMinute: number
  #minute = 0
  #counts = new Map<string, number>()
  readonly #endpoints = new Set<StoredId>()

  /** `maxPerMinute` 0: no limit. */
  constructor(maxPerMinute: number) {
    this.#maxPerMinute = maxPerMinute
  }

  /** Whether one more client of this address may be new at `at`; it then is one, and the endpoint is known from now on. */
  admit(address: string, endpointId: StoredId, at: EpochMs): boolean {
    if (this.#maxPerMinute === 0) return true
    const minute = Math.floor(at / MINUTE_MS)
    if (minute !== this.#minute) this.#counts = new Map()
    this.#minute = minute
    const network = networkOf(address)
    const key = this.#counts.has(network) || this.#counts.size < MAX_ADDRESSES ? network : ''
    const count = this.#counts.get(key) ?? 0
    if (count >= this.#maxPerMinute) return false
    this.#counts.set(key, count + 1)
    this.learn(endpointId)
    return true
  }

  /** The endpoint has a client. */
  learn(endpointId: StoredId): void {
    if (this.#maxPerMinute === 0) return
    this.#endpoints.delete(endpointId)
    this.#endpoints.add(endpointId)
    if (this.#endpoints.size > MAX_ENDPOINTS) this.#endpoints.delete(this.#endpoints.values().next().value!)
  }

  knows(endpointId: StoredId): boolean {
    return this.#endpoints.has(endpointId)
  }
}
