// Owns that nobody makes more session-less clients a minute than an address may have new ones.
import t from 'tap'
import type { VisitEvent } from '../../src/sessions/events.js'
import { SessionTracker } from '../../src/sessions/tracker.js'
import { networkOf } from '../../src/util/ipv6.js'
import { visitorRequest } from '../support/visitor-request.js'

const LIMIT = 3
const tracker = (): SessionTracker =>
  new SessionTracker({ idleTimeoutMs: 60_000, maxNewSessionsPerAddress: LIMIT })

const post = (visitor: string, at: number, address = '192.0.2.1', endpointId = 'e') =>
  visitorRequest(visitor, at, { endpointId, client: { address, userAgent: visitor } })

const brief = (events: readonly object[]): unknown[] =>
  (events as VisitEvent[]).map(({ endpointId, who, userAgent, requests }) => [
    endpointId,
    who.clientName,
    userAgent,
    requests
  ])

void t.test('those beyond the limit are one client, and who was there before is still himself', t => {
  const clients = tracker()
  for (let i = 0; i < LIMIT; i++)
    t.same(brief(clients.observe(post(`v${i}`, 1))), [['e', `v${i}`, `v${i}`, 1]])
  t.same(brief(clients.observe(post('v3', 1))), [['e', 'other', null, 1]])
  for (let i = 4; i < 1_000; i++) t.same(clients.observe(post(`v${i}`, 1)), [])
  t.same(clients.observe(post('v0', 2)), [])
  t.same(brief(clients.flush(3)), [
    ['e', 'other', null, 996],
    ['e', 'v0', 'v0', 1]
  ])
  t.equal(clients.othersRequests, 997)
  t.same(brief(clients.observe(post('v3', 60_001))), [['e', 'v3', 'v3', 1]], 'a minute later')
  t.end()
})

void t.test('each address has a limit of its own, and each network of IPv6', t => {
  const clients = tracker()
  for (let i = 0; i < 2 * LIMIT; i++) clients.observe(post(`v${i}`, 1, `2001:db8::${i}`))
  t.equal(clients.othersRequests, LIMIT)
  t.match(brief(clients.observe(post('w', 1, '2001:db8:0:1::'))), [['e', 'w']])
  t.match(brief(clients.observe(post('x', 1, '192.0.2.2'))), [['e', 'x']])
  const spellings = [
    '2001:db8::1',
    '2001:db8:0:0:1::',
    '2001:db8:0:0:ffff:ffff:ffff:ffff',
    '2001:db8::1%eth0'
  ]
  t.same(new Set(spellings.map(networkOf)), new Set(['2001:db8:0:0']))
  t.equal(networkOf('::1'), '0:0:0:0')
  t.equal(networkOf('::ffff:192.0.2.1'), '::ffff:192.0.2.1')
  t.end()
})

void t.test('they make no endpoints, but an endpoint with sessions is known', t => {
  const clients = tracker()
  clients.observe({ ...post('s', 1, '192.0.2.9', 'sessions'), issuedSessionId: 'S' })
  for (let i = 0; i < LIMIT; i++) clients.observe(post(`v${i}`, 1, undefined, `e${i}`))
  t.match(brief(clients.observe(post('w', 1, undefined, 'made-up'))), [['other', 'other']])
  t.same(clients.observe(post('x', 1, undefined, 'made-up-too')), [])
  t.match(brief(clients.observe(post('y', 1, undefined, 'e0'))), [['e0', 'other']])
  t.match(brief(clients.observe(post('z', 1, undefined, 'sessions'))), [['sessions', 'other']])
  t.end()
})

void t.test('without a limit everybody is himself', t => {
  const clients = new SessionTracker({ idleTimeoutMs: 60_000 })
  for (let i = 0; i < 1_000; i++) t.match(brief(clients.observe(post(`v${i}`, 1))), [['e', `v${i}`]])
  t.end()
})
