// Owns what operators have done to sessions and endpoints: gateway, streams and ledger together.
import { ActionError } from './admin/errors.js'
import type { Control } from './admin/operator.js'
import type { Recorder } from './ledger/recorder.js'
import type { Shipper } from './ledger/shipper.js'
import { pathOf } from './proxy/routes.js'
import type { Proxy } from './proxy/server.js'
import { isDigest } from './sessions/ids.js'
import { Transport } from './sessions/observation.js'

const DELETE_TIMEOUT_MS = 10_000
const SETTLE_TIMEOUT_MS = 2_000

export interface ControlOptions {
  proxy: Proxy
  recorder: Recorder
  shipper: Shipper
  /** Where the gateway has its Streamable HTTP endpoints. */
  endpointUrl: (endpointId: string) => URL
}

export function operatorControl({ proxy, recorder, shipper, endpointUrl }: ControlOptions): Control {
  return {
    async end({ endpointId, sessionId, transport }) {
      // Before the DELETE: what clients see of it comes later.
      const at = Date.now()
      const streams = proxy.streamsOf(endpointId, sessionId)
      if (transport === Transport.sessionless)
        throw new ActionError('NOT_POSSIBLE', 'a session-less client has no session that could be ended')
      if (transport === Transport.sse && streams.length === 0)
        throw new ActionError(
          'NOT_HERE',
          'its stream runs through another proxy: ask the admin port of that one'
        )
      if (transport === Transport.streamable) {
        const id = streams[0]?.sessionId ?? sessionId
        if (isDigest(id) || isDigest(endpointId))
          throw new ActionError(
            'NOT_POSSIBLE',
            'of its long id only a digest is kept, which the gateway does not know'
          )
        await deleteSession(endpointUrl(endpointId), id)
      }
      recorder.record([{ type: 'close', endpointId, sessionId, at, reason: 'killed' }])
      for (const stream of streams) stream.cut()
    },
    settled: () => shipper.drain(SETTLE_TIMEOUT_MS),
    drain(endpointId, on) {
      if (on) proxy.draining.add(endpointId)
      else proxy.draining.delete(endpointId)
    },
    draining: () => proxy.draining
  }
}

/** Throws `ActionError` unless the gateway forgot the session. */
async function deleteSession(url: URL, sessionId: string): Promise<void> {
  const refused = (reason: string) =>
    new ActionError('GATEWAY_REFUSED', `the gateway does not end the session (${reason}): it is still open`)
  let status: number
  try {
    const response = await fetch(url, {
      method: 'DELETE',
      headers: { 'mcp-session-id': sessionId },
      redirect: 'manual',
      signal: AbortSignal.timeout(DELETE_TIMEOUT_MS)
    })
    status = response.status
    await response.body?.cancel()
  } catch {
    throw refused('it cannot be reached')
  }
  if (status !== 404 && (status < 200 || status > 299)) throw refused(`it answers ${status}`)
}

/** A path that every URL resolves to another one. */
const dotSegment = /\/\.\.?(\/|$)/

/** An endpoint of the gateway, behind the base path of its URL. Throws `ActionError` where no URL leads to it. */
export function gatewayUrl(upstream: URL, pattern: string, endpointId: string): URL {
  const path = pathOf(pattern, endpointId)
  if (dotSegment.test(path))
    throw new ActionError('NOT_POSSIBLE', `no URL leads to an endpoint with the id "${endpointId}"`)
  return new URL(upstream.pathname.replace(/\/$/, '') + path, upstream)
}
