// Owns session-less clients in this process: what is told of them and when, and that memory is bounded.
import t from 'tap'
import { unknownClient } from '../../src/mcp/client-info.js'
import { LISTEN_METHOD } from '../../src/mcp/methods.js'
import type { VisitEvent } from '../../src/sessions/events.js'
import type { Observation } from '../../src/sessions/observations.js'
import { SessionTracker } from '../../src/sessions/tracker.js'
import { visitorRequest as post } from '../support/visitor-request.js'

const TIMEOUT = 60_000

const listen = (visitor: string, at: number): Observation => post(visitor, at, { rpcMethod: LISTEN_METHOD })
const listenEnded = (visitor: string, at: number): Observation => ({ kind: 'listen-ended', visitor, at })
const message = (visitor: string, at: number): Observation => ({ kind: 'visit-message', visitor, at })
const tracker = (): SessionTracker => new SessionTracker({ idleTimeoutMs: TIMEOUT })
const brief = (events: readonly object[]): unknown[] =>
  (events as VisitEvent[]).map(event => [event.visitor, event.from, event.at, event.requests])

void t.test('the first request is told at once, with who it is; those after it together', t => {
  const clients = tracker()
  const [event] = clients.observe(post('a', 1))
  t.match(event, {
    type: 'visit',
    endpointId: 'e',
    sessionId: /^[0-9a-f-]{36}$/,
    visitor: 'a',
    from: 1,
    at: 1,
    clientAddress: '192.0.2.1',
    userAgent: 'agent',
    requests: 1,
    who: { clientName: 'a', clientVersion: '1', protocolVersion: '2026-07-28' }
  })
  const asked = { clientInfo: () => t.fail('asked once more') as never }
  t.same(clients.observe(post('a', 5, { body: asked })), [])
  t.same(clients.observe(post('a', 7, { body: asked })), [])
  t.same(brief(clients.flush(10)), [['a', 5, 7, 2]])
  t.same(clients.flush(20), [], 'told once')
  t.end()
})

void t.test('after its idle end a client begins another visit, at once', t => {
  const clients = tracker()
  clients.observe(post('a', 0))
  t.same(clients.observe(post('a', TIMEOUT - 1)), [])
  clients.flush(TIMEOUT)
  t.same(brief(clients.observe(post('a', 2 * TIMEOUT - 1))), [['a', 119_999, 119_999, 1]])
  t.end()
})

void t.test('a server message is activity of a visit, and begins none', t => {
  const clients = tracker()
  clients.observe(message('a', 0))
  clients.observe(post('a', 1))
  clients.observe(message('a', 5))
  t.same(brief(clients.flush(6)), [['a', 5, 5, 0]])
  clients.observe(message('a', TIMEOUT + 5))
  t.same(clients.flush(TIMEOUT + 6), [], 'the visit is over')
  t.end()
})

void t.test('a listen stream is presence without a gap, told now and then', t => {
  const clients = tracker()
  t.same(brief(clients.observe(listen('a', 0))), [['a', 0, 0, 1]])
  t.same(clients.flush(14_999), [])
  t.same(brief(clients.flush(15_000)), [['a', 0, 15_000, 0]])
  t.same(clients.observe(post('a', 16_000)), [], 'the same visit')
  t.same(brief(clients.flush(17_000)), [['a', 15_000, 17_000, 1]])
  t.same(brief(clients.flush(3 * TIMEOUT)), [['a', 17_000, 3 * TIMEOUT, 0]], 'however long the process slept')
  clients.observe(listen('a', 3 * TIMEOUT))
  clients.observe(listenEnded('a', 3 * TIMEOUT + 1))
  t.same(
    brief(clients.flush(3 * TIMEOUT + 2)),
    [['a', 3 * TIMEOUT, 3 * TIMEOUT + 2, 1]],
    'another one is open'
  )
  clients.observe(listenEnded('a', 3 * TIMEOUT + 5))
  t.same(brief(clients.flush(3 * TIMEOUT + 9)), [['a', 3 * TIMEOUT + 2, 3 * TIMEOUT + 5, 0]])
  t.same(clients.flush(4 * TIMEOUT), [])
  clients.observe(listenEnded('a', 4 * TIMEOUT))
  t.same(clients.flush(4 * TIMEOUT), [], 'an end without a stream')
  t.end()
})

void t.test('a clock that is put back does not silence a listen stream', t => {
  const clients = tracker()
  clients.observe(listen('a', 100_000_000))
  t.same(brief(clients.flush(1_000)), [['a', 1_000, 100_000_000, 0]])
  t.end()
})

void t.test('the name may become known later', t => {
  const clients = tracker()
  const nameless = { clientInfo: () => unknownClient }
  t.match(clients.observe(post('a', 1, { body: nameless })), [{ who: { clientName: null } }])
  clients.observe(post('a', 2))
  clients.observe(post('a', 3, { body: nameless }))
  t.match(clients.flush(4), [{ who: { clientName: 'a', protocolVersion: '2026-07-28' } }])
  t.end()
})

void t.test('the revision may become known later', t => {
  const clients = tracker()
  clients.observe(post('a', 1, { protocolVersion: undefined }))
  clients.observe(post('a', 2, { protocolVersion: '2025-06-18' }))
  t.match(clients.flush(3), [{ who: { clientName: 'a', protocolVersion: '2025-06-18' } }])
  clients.observe(post('b', 4, { protocolVersion: 'x'.repeat(33) }))
  clients.observe(post('b', 5, { protocolVersion: '\u00e4' }))
  t.match(clients.flush(6), [{ who: { protocolVersion: null } }], 'what cannot be stored is not known')
  t.end()
})

void t.test('what is remembered is bounded, and nothing pending is forgotten', t => {
  const clients = new SessionTracker({ idleTimeoutMs: TIMEOUT, maxRemembered: 2 })
  clients.observe(post('a', 1))
  clients.observe(post('b', 2))
  clients.observe(post('a', 3))
  t.same(brief(clients.observe(post('c', 4))), [['c', 4, 4, 1]], 'b made room')
  t.same(brief(clients.observe(post('d', 5))), [
    ['a', 3, 3, 1],
    ['d', 5, 5, 1]
  ])
  clients.observe(listen('c', 6))
  clients.observe(post('x', 7))
  t.same(clients.observe(post('c', 8)), [], 'one that listens is not forgotten')
  t.end()
})

void t.test('of many clients each is told in its turn, and nothing is lost', t => {
  const CLIENTS = 2_000
  const SECONDS = 30
  const clients = tracker()
  const told = new Map<string, { at: number; requests: number }>()
  let most = 0
  let latestMs = 0
  for (let second = 0; second < SECONDS; second++) {
    const now = second * 1_000
    const events = Array.from({ length: CLIENTS }, (_, i) => clients.observe(post(`c${i}`, now))).flat()
    const flushed = clients.flush(now + 1)
    most = Math.max(most, flushed.length)
    for (const { visitor, at, requests } of [...events, ...flushed] as VisitEvent[])
      told.set(visitor, { at, requests: requests + (told.get(visitor)?.requests ?? 0) })
    for (const { at } of told.values()) latestMs = Math.max(latestMs, now - at)
  }
  t.ok(most < CLIENTS / 4, `at most ${most} at once`)
  t.ok(latestMs <= TIMEOUT / 10, `at most ${latestMs} ms late`)
  for (const { visitor, requests } of clients.flush(0, Infinity) as VisitEvent[])
    told.set(visitor, { at: 0, requests: requests + told.get(visitor)!.requests })
  t.same(new Set([...told.values()].map(({ requests }) => requests)), new Set([SECONDS]))
  t.end()
})

void t.test('an endpoint that cannot be stored is counted', t => {
  const clients = tracker()
  t.same(clients.observe(post('a', 1, { endpointId: 'a\nb' })), [])
  t.equal(clients.unstorableIds, 1)
  t.end()
})
