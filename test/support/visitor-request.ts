// Owns an accepted request of a session-less client as it is observed, for tests of what is made of it.
import type { Observation, StreamableResponse } from '../../src/sessions/observations.js'

/** The client has the name `visitor`, unless `rest` says otherwise. */
export const visitorRequest = (
  visitor: string,
  at: number,
  rest: Partial<StreamableResponse> = {}
): Observation & { kind: 'streamable' } => ({
  kind: 'streamable',
  endpointId: 'e',
  method: 'POST',
  status: 200,
  sessionId: undefined,
  issuedSessionId: undefined,
  protocolVersion: '2026-07-28',
  sessionNotFound: false,
  client: { address: '192.0.2.1', userAgent: 'agent' },
  visitor,
  body: { clientInfo: () => ({ clientName: visitor, clientVersion: '1', protocolVersion: null }) },
  at,
  ...rest
})
