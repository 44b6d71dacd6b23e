// Owns how the limit on the sessions of a principal is put together: who counts them, and who makes room for one more.
import { PrincipalLookup } from '../ledger/pipeline/principal-lookup.js'
import type { StoreMaintenance } from '../ledger/pipeline/store-maintenance.js'
import type { Principal } from '../mcp/principal.js'
import { Transport } from '../mcp/transports.js'
import { counter, type PortableMetric, sample } from '../metrics/metric.js'
import type { PrincipalCounts } from '../proxy/admission/principal-limit.js'
import type { Proxy } from '../proxy/proxy-server.js'
import type { RequestCredentials } from '../sessions/client-credentials.js'
import type { SessionTracker } from '../sessions/tracker.js'
import { type Candidate, type IdlestEnder, startIdlestEnder } from '../upkeep/idlest-ender.js'
import type { Log } from '../util/log.js'
import type { EndSession } from './session-ender.js'
import type { InstanceLedger } from './start-ledger.js'
import type { Sessions } from './start-sessions.js'

/** The settings of the limit. */
export interface PrincipalLimitSettings {
  /** 0: no limit. */
  maxSessionsPerPrincipal: number
  whenFull: 'refuse' | 'evict-idlest'
}

/** The open sessions of a principal, as the store and this process know them. */
export function principalCounts({ store, outbox }: InstanceLedger, tracker: SessionTracker): PrincipalCounts {
  const lookup = new PrincipalLookup(store, outbox)
  return {
    stored: (principal, timeoutMs) => lookup.read(principal, 0, timeoutMs),
    known: principal => tracker.ownedBy(principal).length
  }
}

/** What makes room by ending the idlest sessions; undefined where none is to be ended. */
export function startEvictions(
  { maxSessionsPerPrincipal: limit, whenFull }: PrincipalLimitSettings,
  { ledger, maintenance, sessions, proxy, end, log }: EvictionParts
): IdlestEnder | undefined {
  if (limit === 0 || whenFull !== 'evict-idlest') return undefined
  const { clock } = ledger
  const { tracker } = sessions
  const lookup = new PrincipalLookup(ledger.store, ledger.outbox)
  const ender = startIdlestEnder({
    limit,
    read: (...question) => lookup.read(...question),
    known: principal =>
      tracker.ownedBy(principal).map(({ firstSeenAt, lastSeenAt, ...session }): Candidate => ({
        ...session,
        connectAt: clock.of(firstSeenAt),
        lastSeenAt: clock.of(lastSeenAt)
      })),
    lastSeenAt(session) {
      const at = tracker.lastSeenAt(session)
      return at === undefined ? undefined : clock.of(at)
    },
    inCall: () => proxy.inCall(),
    hasOthers: () => maintenance.hasOthers,
    mayEnd: ({ endpointId, sessionId, transport }) =>
      transport !== Transport.sse || proxy.streamsOf(endpointId, sessionId).length > 0,
    end: (session, principal) => end(session, speakerFor(principal, sessions)),
    log
  })
  sessions.onOwned(principal => ender.add(principal))
  return ender
}

/** The credentials of a session that nobody else has used. */
function speakerFor(
  principal: Principal,
  { tracker, credentials }: Pick<Sessions, 'tracker' | 'credentials'>
): RequestCredentials | undefined {
  for (const { endpointId, sessionId, isShared } of tracker.ownedBy(principal).toReversed()) {
    const found = isShared ? undefined : credentials.of(endpointId, sessionId)
    if (found !== undefined) return found
  }
  return undefined
}

/** What evictions work on. */
export interface EvictionParts {
  ledger: InstanceLedger
  maintenance: Pick<StoreMaintenance, 'hasOthers'>
  sessions: Sessions
  proxy: Proxy
  end: EndSession
  log: Log
}

/** How many sessions were ended to make room. */
export const evictionMetrics = (ender: IdlestEnder | undefined): PortableMetric =>
  counter(
    'turnstile_evictions_total',
    'Sessions that were to be ended to make room for another one of their principal, by what came of it.',
    [sample(ender?.ended ?? 0, { outcome: 'ended' }), sample(ender?.failed ?? 0, { outcome: 'failed' })]
  )
