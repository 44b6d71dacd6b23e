// Owns the question which sessions a principal has open, for the limit on them (`--max-sessions-per-principal`): the store is asked,
// which knows what all proxies told, and is to know what this one told before.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Principal } from '../../mcp/principal.js'
import { monotonicNow } from '../../util/time.js'
import type { PrincipalSessions, StoreReader } from '../store-port.js'
import type { Outbox } from './outbox.js'

/** Between two looks at a store that does not have yet what was recorded here. Chosen: most batches take so long. */
const AGAIN_MS = 5
/** Look-ups at once, those that were given up included. Chosen: a store that is silent must not fill the memory. */
const MAX_LOOK_UPS = 200

/** What the store says. */
export interface FoundSessions extends PrincipalSessions {
  /** It knows all that this process recorded before it was asked. */
  isCurrent: boolean
}

/** Asks the store; for the same principal once at a time, however many wait. */
export class PrincipalLookup {
  readonly #store: Pick<StoreReader, 'principalSessions'>
  readonly #outbox: Pick<Outbox, 'instance' | 'lastOffset'>
  readonly #underWay = new Map<string, Promise<PrincipalSessions | undefined>>()

  constructor(
    store: Pick<StoreReader, 'principalSessions'>,
    outbox: Pick<Outbox, 'instance' | 'lastOffset'>
  ) {
    this.#store = store
    this.#outbox = outbox
  }

  /** Undefined where the store does not answer within `timeoutMs`. `limit`: how many rows. */
  async read(principal: Principal, limit: number, timeoutMs: number): Promise<FoundSessions | undefined> {
    const until = monotonicNow() + timeoutMs
    const wanted = this.#outbox.lastOffset
    let found: FoundSessions | undefined
    for (;;) {
      const leftMs = until - monotonicNow()
      if (leftMs <= 0) return found
      const read = await Promise.race([
        this.#lookUp(principal, limit),
        sleep(leftMs, undefined, { ref: false })
      ])
      if (read === undefined) return found
      found = { ...read, isCurrent: read.appliedOffset >= wanted }
      if (found.isCurrent) return found
      await sleep(AGAIN_MS)
    }
  }

  #lookUp(principal: Principal, limit: number): Promise<PrincipalSessions | undefined> {
    const key = `${limit} ${principal.name}`
    const known = this.#underWay.get(key)
    if (known !== undefined) return known
    if (this.#underWay.size >= MAX_LOOK_UPS) return Promise.resolve(undefined)
    const instanceId = this.#outbox.instance.id
    const asked = this.#store
      .principalSessions({ principal, instanceId, limit })
      .catch(() => undefined)
      .finally(() => this.#underWay.delete(key))
    this.#underWay.set(key, asked)
    return asked
  }
}
