// Owns the decision which gateway gets new work (load balancing): facts in, name out.

/** What is known of a gateway when new work comes. */
export interface UpstreamFacts {
  readonly name: string
  /** The settings name it; otherwise it only keeps its sessions until they end. */
  readonly isListed: boolean
  readonly isUp: boolean
  readonly isDraining: boolean
  /** As the ledger counts them over all proxies, with what this process has seen since. */
  readonly openSessions: number
  /** Requests of this process whose response will open a session there, as far as they show. */
  readonly opening: number
  /** All requests of this process that are under way there. */
  readonly underWay: number
  /** Which choice of this process it was when it was chosen last; 0: it never was. */
  readonly lastChoice: number
}

/** `session`: a request that opens one. `request`: one without a session. */
export type Work = 'session' | 'request'

/**
 * The name of the gateway that gets new work: of those that may have it, a session goes to the one with the fewest sessions,
 * any other request to the one with the fewest under way. Where no gateway is up, one that is down may have it: to try is the
 * only way to know. Undefined where no gateway may have it. Equals take turns.
 * @param refusedBy Gateways that took no connection for it.
 */
export function chooseUpstream(
  work: Work,
  upstreams: Iterable<UpstreamFacts>,
  refusedBy: ReadonlySet<string> | undefined
): string | undefined {
  let best: UpstreamFacts | undefined
  for (const upstream of upstreams) {
    if (!upstream.isListed || refusedBy?.has(upstream.name)) continue
    // Session-less requests leave nothing behind in a gateway, but one that is drained gets none: it is about to stop.
    if (upstream.isDraining) continue
    if (best === undefined || isBetter(work, upstream, best)) best = upstream
  }
  return best?.name
}

function isBetter(work: Work, a: UpstreamFacts, b: UpstreamFacts): boolean {
  if (a.isUp !== b.isUp) return a.isUp
  if (work === 'session') {
    const [sessionsOfA, sessionsOfB] = [a.openSessions + a.opening, b.openSessions + b.opening]
    if (sessionsOfA !== sessionsOfB) return sessionsOfA < sessionsOfB
  }
  if (a.underWay !== b.underWay) return a.underWay < b.underWay
  return a.lastChoice < b.lastChoice
}
