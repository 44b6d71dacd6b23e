// Owns what operators can do to sessions and endpoints of a proxy instance: upstream, streams and ledger together.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Proxy } from '../proxy/proxy-server.js'
import type { SessionRequests } from '../upkeep/session-requests.js'
import { SECOND_MS } from '../util/time.js'
import type { WorkerControl } from './instance-methods.js'
import type { EndSession } from './session-ender.js'
import type { InstanceLedger } from './start-ledger.js'
import type { UpstreamReports } from './upstream-reports.js'

/** How long an operator's action waits until queries show it. Chosen: people wait for it. */
const SETTLE_TIMEOUT_MS = 2_000

/** When a name is erased again: longer than a transaction takes at most (`STATEMENT_TIMEOUT_MS` in ledger/mysql). */
const ERASED_AGAIN_MS = [SECOND_MS, 40 * SECOND_MS]

/** What an action works on. */
export interface ControlParts {
  proxy: Proxy
  ledger: InstanceLedger
  requests: SessionRequests
  end: EndSession
  reports: UpstreamReports
}

/** What operators can do to this instance; `end` throws `ActionError`. */
export function operatorControl({ proxy, ledger, requests, end, reports }: ControlParts): WorkerControl {
  return {
    end: session => end(session),
    knows: session => requests.knows(session),
    cut({ endpointId, sessionId }) {
      for (const stream of proxy.streamsOf(endpointId, sessionId)) stream.cut()
    },
    settled: () => ledger.shipper.whenEmpty(SETTLE_TIMEOUT_MS),
    deleteEndpoint: endpointId => ledger.store.deleteEndpoint(endpointId, ledger.clock.now()),
    drain(endpointId, on) {
      if (on) proxy.drainedEndpoints.add(endpointId)
      else proxy.drainedEndpoints.delete(endpointId)
    },
    draining: () => proxy.drainedEndpoints,
    async erasePrincipal(principal) {
      const { store, clock } = ledger
      const at = clock.now()
      const erasure = await store.erasePrincipal(principal, at)
      // A transaction that began before may have the name still. Who came back meanwhile is not meant.
      const eraseAgain = () =>
        void store.erasePrincipal(principal, at, { again: true }).catch(() => undefined)
      for (const ms of ERASED_AGAIN_MS) setTimeout(eraseAgain, ms).unref()
      return erasure
    },
    async drainUpstream(name, on) {
      await ledger.store.drainUpstream(name, on, Date.now())
      await reports.report()
    },
    async reportUpstreams() {
      const reported = reports.report().catch(() => undefined)
      await Promise.race([reported, sleep(SETTLE_TIMEOUT_MS, undefined, { ref: false })])
    }
  }
}
