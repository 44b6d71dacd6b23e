// Owns the limit on the sessions of one principal (`--max-sessions-per-principal`), where it refuses: before the upstream has
// accepted a request, whom it is from is only a claim, so that a claim takes no place from anybody else.
import type { IncomingMessage } from 'node:http'
import type { Principal } from '../../mcp/principal.js'
import { monotonicNow } from '../../util/time.js'
import { methodIn, startOfBody } from '../http/body-start.js'
import { RefusedRequest } from '../http/proxy-errors.js'
import type { RoutedRequest } from '../http/routed-request.js'

/** How long a request waits for the number of sessions at most. Chosen: as long as for the gateway of a session (NEXT §1). */
const LOOK_UP_TIMEOUT_MS = 250

/** The open sessions of a principal. */
export interface PrincipalCounts {
  /**
   * As the store counts them; undefined where it does not answer within `timeoutMs`. `isCurrent`: with all that this process had
   * recorded when the store was asked.
   */
  stored: (
    principal: Principal,
    timeoutMs: number
  ) => Promise<{ openNum: number; isCurrent: boolean } | undefined>
  /** Those that this process knows at this moment. */
  known: (principal: Principal) => number
}

/** What `PrincipalLimit` needs. */
export interface PrincipalLimitOptions {
  /** 0: no limit. */
  maxSessionsPerPrincipal: number
  /** Only `refuse` refuses; otherwise a session is ended once another one has opened (upkeep/idlest-ender.ts). */
  whenFull: 'refuse' | 'evict-idlest'
  principalCounts: PrincipalCounts
}

/** What is under way of a principal. */
interface Openings {
  /** Requests, by the credential that claims it. */
  readonly underWay: Map<Principal, number>
  /** How many of them were accepted since there is something under way. */
  accepted: number
  /** Requests that wait for the number of sessions. */
  waiting: number
}

/** A session that may open: it counts until the upstream has said whether it does. */
export interface Opening {
  /** The session is among those that are counted, or it does not open. `accepted`: the upstream accepted the request. */
  settle(accepted: boolean): void
}

/** Lets requests that would open a session in, or refuses them. */
export class PrincipalLimit {
  readonly #options: PrincipalLimitOptions
  /** By the name of the principal. */
  readonly #openings = new Map<string, Openings>()
  /** Credentials that the upstream accepted; what others claim takes no place from them. */
  readonly #proved = new WeakSet<Principal>()

  constructor(options: PrincipalLimitOptions) {
    this.#options = options
  }

  /** Undefined where no limit applies. Rejects with `RefusedRequest` where the principal has as many sessions as it may have. */
  admit(request: RoutedRequest): Promise<Opening | undefined> | undefined {
    const { maxSessionsPerPrincipal, whenFull } = this.#options
    if (maxSessionsPerPrincipal === 0 || whenFull !== 'refuse') return undefined
    if (request.opensSessionOn === undefined) return undefined
    const { principal, req } = request
    return principal === undefined ? undefined : this.#admit(principal, req)
  }

  async #admit(principal: Principal, req: IncomingMessage): Promise<Opening | undefined> {
    const { maxSessionsPerPrincipal: limit, principalCounts } = this.#options
    const until = monotonicNow() + LOOK_UP_TIMEOUT_MS
    const openings = this.#openingsOf(principal)
    openings.waiting++
    try {
      const isOther = isOtherMethod(req)
      for (;;) {
        const before = openings.accepted
        const [stored, opensNone] = await Promise.all([
          principalCounts.stored(principal, until - monotonicNow()),
          isOther
        ])
        if (opensNone) return undefined
        const isCurrent = stored?.isCurrent === true
        // Perhaps not among those that the store counted.
        const meanwhile = openings.accepted - before
        const count = isCurrent
          ? stored.openNum + meanwhile
          : Math.max(stored?.openNum ?? 0, principalCounts.known(principal))
        if (count + this.#underWay(principal, openings) < limit) return this.#begin(principal, openings)
        if (!isCurrent || meanwhile === 0)
          throw new RefusedRequest('The principal has reached its session limit', 429, 'principal')
      }
    } finally {
      openings.waiting--
      this.#forgetUnused(principal, openings)
    }
  }

  #openingsOf({ name }: Principal): Openings {
    const known = this.#openings.get(name)
    if (known !== undefined) return known
    const openings: Openings = { underWay: new Map(), accepted: 0, waiting: 0 }
    this.#openings.set(name, openings)
    return openings
  }

  #forgetUnused({ name }: Principal, { underWay, waiting }: Openings): void {
    if (waiting === 0 && underWay.size === 0) this.#openings.delete(name)
  }

  #underWay(principal: Principal, { underWay }: Openings): number {
    let sum = 0
    for (const [claimant, number] of underWay)
      if (claimant === principal || this.#proved.has(claimant)) sum += number
    return sum
  }

  #begin(principal: Principal, openings: Openings): Opening {
    const { underWay } = openings
    underWay.set(principal, (underWay.get(principal) ?? 0) + 1)
    return {
      settle: accepted => {
        const left = underWay.get(principal)! - 1
        if (left === 0) underWay.delete(principal)
        else underWay.set(principal, left)
        if (accepted) {
          openings.accepted++
          this.#proved.add(principal)
        }
        this.#forgetUnused(principal, openings)
      }
    }
  }
}

/** Whether it is the request of a client without a session, at a gateway that has none, and not `initialize`. */
async function isOtherMethod(req: IncomingMessage): Promise<boolean> {
  const method = req.method === 'POST' ? methodIn(await startOfBody(req)) : undefined
  return method !== undefined && method !== 'initialize'
}
