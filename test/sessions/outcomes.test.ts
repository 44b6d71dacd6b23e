// Owns how outcomes of requests reach the ledger's events: each figure once, with the uses of its session or by itself.
import t from 'tap'
import { Transport } from '../../src/mcp/transports.js'
import type { SessionEvent } from '../../src/sessions/events.js'
import type { Observation, RequestOutcome } from '../../src/sessions/observations.js'
import type { Outcome } from '../../src/sessions/outcomes.js'
import { SessionTracker } from '../../src/sessions/tracker.js'
import { visitorRequest } from '../support/visitor-request.js'

const client = { address: '192.0.2.1', userAgent: 'agent' }
const nothing: Outcome = { bytesIn: 0, bytesOut: 0, calls: 0, errors: 0, unread: 0 }

const accepted = (sessionId: string, at: number): Observation => ({
  kind: 'streamable',
  endpointId: 'e',
  method: 'POST',
  status: 200,
  sessionId,
  issuedSessionId: undefined,
  protocolVersion: undefined,
  sessionNotFound: false,
  client,
  at
})
const outcome = (sessionId: string, figures: Partial<Outcome>, more: Partial<RequestOutcome> = {}) =>
  ({
    kind: 'outcome',
    transport: Transport.streamable,
    endpointId: 'e',
    sessionId,
    outcome: { ...nothing, ...figures },
    client,
    at: 5,
    ...more
  }) as const
const told = (events: readonly SessionEvent[]): unknown[] =>
  events.map(event => ['outcome' in event ? event.outcome : undefined, event.type, event.at])

void t.test('of a known session they come with its next use, and once', t => {
  const tracker = new SessionTracker({ idleTimeoutMs: 0 })
  tracker.observe(accepted('s', 1))
  t.same(tracker.observe(outcome('s', { bytesIn: 1, calls: 1 })), [])
  tracker.observe(accepted('s', 5))
  t.same(tracker.observe(outcome('s', { bytesIn: 2, errors: 1 })), [])
  t.same(told(tracker.flush(10)), [[{ ...nothing, bytesIn: 3, calls: 1, errors: 1 }, 'use', 5]])
  t.same(tracker.flush(20), [])
  t.end()
})

void t.test(
  'of requests that were reported before they come alone, and prove nothing of their session',
  t => {
    const tracker = new SessionTracker({ idleTimeoutMs: 0 })
    tracker.observe(accepted('s', 1))
    tracker.observe(outcome('s', { bytesIn: 1 }))
    t.same(told(tracker.flush(10)), [[{ ...nothing, bytesIn: 1 }, 'outcome', 1]])
    t.same(tracker.flush(20), [])
    tracker.observe(outcome('s', { unread: 1 }))
    const deleted = { ...accepted('s', 21), method: 'DELETE' } as Observation
    t.same(told(tracker.observe(deleted)), [
      [{ ...nothing, unread: 1 }, 'outcome', 1],
      [undefined, 'close', 21]
    ])
    t.end()
  }
)

void t.test('of another session they come by themselves with the next flush', t => {
  const tracker = new SessionTracker({ idleTimeoutMs: 0 })
  t.same(tracker.observe(outcome('s', { bytesIn: 1 })), [])
  t.same(tracker.observe(outcome('s', { bytesIn: 2 })), [])
  t.match(tracker.flush(10), [
    { type: 'outcome', endpointId: 'e', sessionId: 's', transport: 2, outcome: { bytesIn: 3 } }
  ])
  t.same(tracker.flush(20), [])
  t.end()
})

void t.test('of many unknown sessions none is lost, and few wait', t => {
  const tracker = new SessionTracker({ idleTimeoutMs: 0 })
  const events: SessionEvent[] = []
  let most = 0
  for (let i = 0; i < 10_000; i++) {
    const out = tracker.observe(outcome(`made-up-${i}`, { bytesIn: 1 }))
    most = Math.max(most, out.length)
    events.push(...out)
  }
  events.push(...tracker.flush(10))
  t.equal(new Set(events.map(({ sessionId }) => sessionId)).size, 10_000)
  t.ok(most < 1_000, `${most} wait at most`)
  t.same(tracker.observe(outcome('not\nan id', { bytesIn: 1 })), [])
  t.same(tracker.observe(outcome('s', { bytesIn: 1 }, { endpointId: undefined })), [])
  t.same(tracker.flush(20), [])
  t.end()
})

void t.test('of a legacy message whose session is not known they wait with it', t => {
  const legacy = { transport: Transport.sse, endpointId: undefined }
  const tracker = new SessionTracker({ idleTimeoutMs: 0 })
  const message = (status: number, at: number): Observation => ({
    ...{ kind: 'message', endpointId: undefined, sessionId: 's', status, client, at }
  })
  tracker.observe(message(202, 1))
  tracker.observe(outcome('s', { bytesIn: 1 }, legacy))
  tracker.observe(message(202, 2))
  tracker.observe(outcome('s', { bytesIn: 2 }, legacy))
  tracker.observe(message(404, 3))
  tracker.observe(outcome('s', { errors: 1 }, legacy))
  t.same(tracker.flush(4), [])
  const known = [{ endpointId: 'own', sessionId: 's', isOpen: true, upstream: null }]
  t.same(told(tracker.place(['s'], known, 5)), [
    [{ ...nothing, bytesIn: 3 }, 'use', 2],
    [undefined, 'close', 3],
    [{ ...nothing, errors: 1 }, 'outcome', 3]
  ])
  t.end()
})

void t.test('of a session-less client they come with its presence, and extend no visit', t => {
  const TIMEOUT = 60_000
  const tracker = new SessionTracker({ idleTimeoutMs: TIMEOUT, maxNewSessionsPerAddress: 1 })
  const of = (visitor: string, figures: Partial<Outcome>) =>
    outcome('', figures, { transport: Transport.sessionless, sessionId: undefined, visitor })
  tracker.observe(visitorRequest('a', 1))
  tracker.observe(of('a', { calls: 1 }))
  t.match(tracker.flush(10), [
    { type: 'visit', visitor: 'a', from: 1, at: 1, requests: 0, outcome: { calls: 1 } }
  ])
  tracker.observe(of('nobody', { errors: 1 }))
  t.same(tracker.flush(20), [], 'whose request was refused is not there')
  tracker.observe(visitorRequest('b', 21))
  tracker.observe(of('b', { calls: 1, bytesIn: 7 }))
  t.match(tracker.flush(30), [{ visitor: /^other/, outcome: { calls: 1, bytesIn: 7 } }], 'too many of them')
  t.end()
})
