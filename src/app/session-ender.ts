// Owns ending a session for good, as operators do: upstream, streams and ledger together.
import { ActionError } from '../admin/schemas/admin-errors.js'
import type { SessionRow } from '../ledger/store-port.js'
import { Transport } from '../mcp/transports.js'
import type { Proxy } from '../proxy/proxy-server.js'
import type { RequestCredentials } from '../sessions/client-credentials.js'
import type { RequestedSession, SessionRequests } from '../upkeep/session-requests.js'
import { UnreachableSession } from '../upkeep/upstream-requests.js'
import { isSuccessful } from '../util/http-status.js'
import { epochNow } from '../util/time.js'
import type { Sessions } from './start-sessions.js'

/** What ends a session. */
export interface SessionEnderParts {
  proxy: Pick<Proxy, 'streamsOf'>
  sessions: Pick<Sessions, 'end'>
  requests: SessionRequests
}

/** Rejects with `ActionError` where it cannot be ended; then nothing has changed. `speaker`: as in `SessionRequests.end`. */
export type EndSession = (
  session: Pick<SessionRow, 'endpointId' | 'sessionId' | 'transport'> & Pick<RequestedSession, 'upstream'>,
  speaker?: RequestCredentials
) => Promise<void>

/** Makes the function. */
export const sessionEnder =
  ({ proxy, sessions, requests }: SessionEnderParts): EndSession =>
  async ({ endpointId, sessionId, transport, upstream }, speaker) => {
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
    if (transport === Transport.streamable) {
      const session = { endpointId, sessionId: streams[0]?.sessionId ?? sessionId, upstream }
      await deleteSession(requests, session, speaker)
    }
    sessions.end({ endpointId, sessionId }, at)
    for (const stream of streams) stream.cut()
  }

/** Throws `ActionError` unless the upstream forgot the session. */
async function deleteSession(
  requests: SessionRequests,
  session: RequestedSession,
  speaker: RequestCredentials | undefined
): Promise<void> {
  const refused = (reason: string) =>
    new ActionError('GATEWAY_REFUSED', `the gateway does not end the session (${reason}): it is still open`)
  const status = await requests.end(session, speaker).catch((error: unknown) => {
    throw error instanceof UnreachableSession
      ? new ActionError('NOT_POSSIBLE', error.message)
      : refused('it cannot be reached')
  })
  if (status !== 404 && !isSuccessful(status)) throw refused(`it answers ${status}`)
}
