// Owns what operators can do to sessions and endpoints of a proxy instance: upstream, streams and ledger together.
import { setTimeout as sleep } from 'node:timers/promises'
import { ActionError } from '../admin/schemas/admin-errors.js'
import { Transport } from '../mcp/transports.js'
import type { Proxy } from '../proxy/proxy-server.js'
import type { RequestedSession, SessionRequests } from '../upkeep/session-requests.js'
import { UnreachableSession } from '../upkeep/upstream-requests.js'
import { isSuccessful } from '../util/http-status.js'
import { epochNow, SECOND_MS } from '../util/time.js'
import type { WorkerControl } from './instance-methods.js'
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
  reports: UpstreamReports
}

/** What operators can do to this instance; `end` throws `ActionError`. */
export function operatorControl({ proxy, ledger, requests, reports }: ControlParts): WorkerControl {
  return {
    async end({ endpointId, sessionId, transport, upstream }) {
      // Taken before the DELETE: whatever clients notice of the end comes later.
      const at = epochNow()
      const streams = proxy.streamsOf(endpointId, sessionId)
      if (transport === Transport.sessionless)
        throw new ActionError('NOT_POSSIBLE', 'a session-less client has no session that could be ended')
      if (transport === Transport.sse && streams.length === 0)
        throw new ActionError(
          'NOT_HERE',
          'its stream runs through another proxy: ask the admin port of that one'
        )
      if (transport === Transport.streamable)
        await deleteSession(requests, {
          endpointId,
          sessionId: streams[0]?.sessionId ?? sessionId,
          upstream
        })
      ledger.recorder.record([{ type: 'close', endpointId, sessionId, at, reason: 'killed' }])
      for (const stream of streams) stream.cut()
    },
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
      const erase = () => ledger.store.erasePrincipal(principal, ledger.clock.now())
      const erasure = await erase()
      // A transaction that began before may have the name still.
      for (const ms of ERASED_AGAIN_MS) setTimeout(() => void erase().catch(() => undefined), ms).unref()
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

/** Throws `ActionError` unless the upstream forgot the session. */
async function deleteSession(requests: SessionRequests, session: RequestedSession): Promise<void> {
  const refused = (reason: string) =>
    new ActionError('GATEWAY_REFUSED', `the gateway does not end the session (${reason}): it is still open`)
  const status = await requests.end(session).catch((error: unknown) => {
    throw error instanceof UnreachableSession
      ? new ActionError('NOT_POSSIBLE', error.message)
      : refused('it cannot be reached')
  })
  if (status !== 404 && !isSuccessful(status)) throw refused(`it answers ${status}`)
}
