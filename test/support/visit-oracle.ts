// Owns the meaning of a visit, computed the obvious way from all that a session-less client did: the oracle of its tests.

/** The client was there, at every moment from `from` to `at` (epoch ms), and sent `requests`. */
export interface Presence {
  from: number
  at: number
  requests: number
}

export interface ExpectedVisit {
  connectAt: number
  lastSeenAt: number
  requestCount: number
}

/** Joins what is closer together than the idle timeout. */
export function visitsOf(presence: readonly Presence[], idleTimeoutMs: number): ExpectedVisit[] {
  const visits: ExpectedVisit[] = []
  for (const { from, at, requests } of presence.toSorted((a, b) => a.from - b.from)) {
    const last = visits.at(-1)
    if (last && from < last.lastSeenAt + idleTimeoutMs) {
      last.lastSeenAt = Math.max(last.lastSeenAt, at)
      last.requestCount += requests
    } else visits.push({ connectAt: from, lastSeenAt: at, requestCount: requests })
  }
  return visits
}
