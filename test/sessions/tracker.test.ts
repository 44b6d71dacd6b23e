// Owns the life cycle in this process: which observations become which ledger events, and that memory is bounded.
import t from 'tap'
import type { SessionEvent } from '../../src/sessions/events.js'
import type { Observation, StreamableResponse } from '../../src/sessions/observations.js'
import { SessionTracker } from '../../src/sessions/tracker.js'

const client = { address: '192.0.2.1', userAgent: 'agent' }

function streamable(
  method: string,
  status: number,
  ids: { sent?: string; issued?: string },
  at: number
): Observation {
  return {
    kind: 'streamable',
    endpointId: 'e',
    method,
    status,
    sessionId: ids.sent,
    issuedSessionId: ids.issued,
    protocolVersion: undefined,
    sessionNotFound: false,
    client,
    at
  }
}
/** The server does not know the session. */
const unknown = (sent: string, at: number): Observation =>
  ({ ...streamable('POST', 404, { sent }, at), sessionNotFound: true }) as Observation
const sessionNews = { endpointId: 'e', sessionId: 's', client }
const message = (status: number, at: number, named: 'named' | 'unnamed' = 'named'): Observation => ({
  kind: 'message',
  endpointId: named === 'named' ? 'e' : undefined,
  sessionId: 's',
  status,
  client,
  at
})
const stream = (kind: 'legacy-opened' | 'legacy-ended', at: number): Observation => ({
  kind,
  endpointId: 'e',
  sessionId: 's',
  client,
  at
})
const brief = (events: SessionEvent[]): unknown[] =>
  events.map(event => [
    event.type,
    event.sessionId,
    event.at,
    event.type === 'close' ? event.reason : event.type === 'outcome' ? event.outcome : event.requests
  ])

void t.test(
  'the sessions of a principal are known from their opening, or from when they are its, to their end',
  t => {
    const owned: string[] = []
    const tracker = new SessionTracker({ idleTimeoutMs: 100, onOwned: ({ name }) => void owned.push(name) })
    const principal = { kind: 'oauth', name: 'ann' } as const
    const of = (observation: Observation): Observation => ({ ...observation, principal }) as Observation
    const ids = (): string[] => tracker.ownedBy(principal).map(({ sessionId }) => sessionId)
    tracker.observe(of(streamable('POST', 200, { issued: 'a' }, 1)))
    tracker.observe(streamable('POST', 200, { issued: 'b' }, 2))
    tracker.observe(of(stream('legacy-opened', 3)))
    t.same(owned, ['ann', 'ann'])
    tracker.observe(of(streamable('POST', 202, { sent: 'a' }, 4)))
    tracker.observe(of(streamable('POST', 202, { sent: 'b' }, 5)))
    t.same(owned, ['ann', 'ann', 'ann'], 'one that turns out to be its')
    t.same(ids(), ['a', 's', 'b'])
    t.equal(tracker.lastSeenAt({ endpointId: 'e', sessionId: 'b' }), 5)
    tracker.observe(of(streamable('POST', 202, { sent: 'c' }, 6)))
    t.same(owned.length, 3, 'one that somebody else saw open')
    t.same(ids(), ['a', 's', 'b', 'c'])
    t.same(brief(tracker.ended({ endpointId: 'e', sessionId: 'a' })), [['use', 'a', 4, 1]])
    t.same(tracker.ended({ endpointId: 'e', sessionId: 's' }), [], 'it ends with its stream')
    tracker.observe(streamable('DELETE', 202, { sent: 'b' }, 7))
    t.same(ids(), ['s', 'c'])
    tracker.observe(stream('legacy-ended', 8))
    tracker.flush(200)
    t.same(ids(), [], 'idle ones are forgotten')
    t.end()
  }
)

void t.test('a streamable session: opened, used, deleted', t => {
  const tracker = new SessionTracker({ idleTimeoutMs: 0 })
  t.strictSame(tracker.observe(streamable('POST', 200, { issued: 's' }, 1)), [
    {
      type: 'open',
      endpointId: 'e',
      sessionId: 's',
      transport: 2,
      at: 1,
      clientAddress: '192.0.2.1',
      userAgent: 'agent',
      requests: 1,
      held: false
    }
  ])
  t.same(tracker.observe(streamable('POST', 202, { sent: 's' }, 2)), [])
  t.same(tracker.observe(streamable('GET', 200, { sent: 's' }, 3)), [])
  t.same(brief(tracker.flush(0)), [['use', 's', 3, 2]])
  t.same(tracker.flush(0), [], 'told once')
  tracker.observe(streamable('POST', 200, { sent: 's' }, 4))
  t.same(brief(tracker.observe(streamable('DELETE', 202, { sent: 's' }, 5))), [
    ['use', 's', 4, 1],
    ['close', 's', 5, 'delete']
  ])
  t.same(tracker.flush(0), [])
  t.end()
})

void t.test('a server message is activity, and not a request', t => {
  const tracker = new SessionTracker({ idleTimeoutMs: 0 })
  const at = (time: number): Observation => ({
    kind: 'server-message',
    endpointId: 'e',
    sessionId: 's',
    client,
    at: time
  })
  tracker.observe(streamable('POST', 200, { issued: 's' }, 2))
  t.same(tracker.observe(at(5)), [])
  t.same(brief(tracker.flush(0)), [['use', 's', 5, 0]])
  t.end()
})

void t.test('a session first seen by a use, and one first seen by its end', t => {
  const tracker = new SessionTracker({ idleTimeoutMs: 0 })
  t.same(brief(tracker.observe(streamable('POST', 200, { sent: 'a' }, 1))), [['open', 'a', 1, 1]])
  t.same(brief(tracker.observe(unknown('b', 2))), [['close', 'b', 2, 'gone']])
  t.end()
})

void t.test('a 404 without a word makes a suspect; where nobody asks, it counts at once', t => {
  const bare = streamable('POST', 404, { sent: 's' }, 2)
  const tracker = new SessionTracker({ idleTimeoutMs: 0 })
  tracker.observe(streamable('POST', 200, { issued: 's' }, 1))
  t.same(tracker.observe(bare), [])
  for (let i = 0; i < 2; i++) tracker.suspects.tick()
  t.match(tracker.suspects.next(), { sessionId: 's' })
  const silent = new SessionTracker({ idleTimeoutMs: 0, confirmSuspects: false })
  t.same(brief(silent.observe(bare)), [['close', 's', 2, 'gone']])
  t.end()
})

void t.test('what takes a gone back, and what does not', t => {
  const message = (at: number): Observation => ({ ...sessionNews, kind: 'server-message', at })
  const tracker = new SessionTracker({ idleTimeoutMs: 0 })
  tracker.observe(streamable('POST', 200, { issued: 's' }, 5))
  t.same(brief(tracker.observe(unknown('s', 5))), [['close', 's', 6, 'gone']], 'it came after the proof')
  t.match(tracker.observe(message(9)), [{ type: 'use', at: 9, provedAt: 0 }])
  t.same(brief(tracker.observe(streamable('POST', 200, { sent: 's' }, 10))), [])
  tracker.observe(message(12))
  t.match(tracker.flush(20), [{ type: 'use', at: 12, provedAt: 10, requests: 1 }])
  tracker.observe({
    kind: 'ping-response',
    endpointId: 'e',
    sessionId: 's',
    status: 200,
    sessionNotFound: false,
    at: 30
  })
  t.notMatch(tracker.flush(40), [{ provedAt: Number }], 'a ping proves it')
  t.end()
})

void t.test(
  'a new id in place of an old one is the same client; an initialize begins a session of its own',
  t => {
    const tracker = new SessionTracker({ idleTimeoutMs: 0 })
    tracker.observe(streamable('POST', 200, { issued: 'old' }, 1))
    const renewed = streamable('POST', 200, { sent: 'old', issued: 'new' }, 2)
    const initialize = {
      ...renewed,
      issuedSessionId: 'other',
      sessionId: 'new',
      rpcMethod: 'initialize'
    } as Observation
    t.match(tracker.observe(renewed), [
      { type: 'close', sessionId: 'old', reason: 'gone', at: 2 },
      { type: 'open', sessionId: 'new', replaces: 'old', at: 2 }
    ])
    const events = tracker.observe(initialize)
    t.same(brief(events), [['open', 'other', 2, 1]])
    t.notMatch(events, [{ replaces: String }])
    t.end()
  }
)

void t.test('a legacy session lives and dies with its stream', t => {
  const tracker = new SessionTracker({ idleTimeoutMs: 0 })
  t.match(tracker.observe(stream('legacy-opened', 1)), [{ type: 'open', transport: 1, held: true }])
  t.same(tracker.observe(message(202, 2)), [])
  t.same(tracker.observe(message(404, 3)), [], 'what a message is answered does not end a stream')
  t.same(tracker.observe(message(202, 4, 'unnamed')), [], 'its endpoint is known')
  t.same(brief(tracker.held(9)), [['use', 's', 9, 0]])
  t.same(brief(tracker.observe(stream('legacy-ended', 5))), [
    ['use', 's', 4, 2],
    ['close', 's', 5, 'stream_end']
  ])
  t.same(tracker.observe(stream('legacy-ended', 6)), [], 'once')
  t.same(tracker.held(9), [])
  t.end()
})

void t.test('what one transport does not know may live on the other', t => {
  const tracker = new SessionTracker({ idleTimeoutMs: 0 })
  tracker.observe(streamable('POST', 200, { issued: 's' }, 1))
  t.same(tracker.observe(message(404, 2)), [])
  t.same(brief(tracker.observe(streamable('DELETE', 202, { sent: 's' }, 3))), [['close', 's', 3, 'delete']])
  t.same(tracker.observe(message(404, 4)), [], 'for the store to tell')
  const known = [{ endpointId: 'e', sessionId: 's', isOpen: true, upstream: null }]
  t.match(tracker.place(['s'], known, 4), [{ type: 'close', transport: 1 }])
  t.match(tracker.observe(streamable('DELETE', 202, { sent: 's' }, 5)), [{ type: 'close', transport: 2 }])
  t.end()
})

void t.test('an id sent with a revision without sessions keeps a session that is known in use', t => {
  const tracker = new SessionTracker({ idleTimeoutMs: 0 })
  const claim = (at: number): Observation => ({
    ...(streamable('POST', 200, { sent: 's' }, at) as StreamableResponse),
    protocolVersion: '2026-07-28'
  })
  t.same(tracker.observe(claim(1)), [])
  t.same(tracker.flush(0), [])
  tracker.observe(streamable('POST', 200, { issued: 's' }, 2))
  tracker.observe(claim(3))
  t.same(brief(tracker.flush(0)), [['use', 's', 3, 1]])
  t.end()
})

void t.test('who the client is comes out at once, with the uses until then', t => {
  const tracker = new SessionTracker({ idleTimeoutMs: 0 })
  const who = { clientName: 'n', clientVersion: '1', protocolVersion: '2025-11-25' }
  const identity: Observation = { kind: 'identity', endpointId: 'e', sessionId: 's', clientInfo: who }
  t.same(tracker.observe(identity), [], 'nobody has that session')
  tracker.observe(streamable('POST', 200, { issued: 's' }, 1))
  tracker.observe(streamable('POST', 202, { sent: 's' }, 2))
  t.match(tracker.observe(identity), [{ type: 'use', sessionId: 's', at: 2, requests: 1, who }])
  t.same(tracker.flush(3), [], 'and no more')
  t.same(tracker.observe(identity), [], 'nothing new')
  tracker.observe(streamable('POST', 202, { sent: 's' }, 4))
  const [use] = tracker.flush(5)
  t.match(use, { type: 'use', at: 4, requests: 1 })
  t.notOk(use && 'who' in use)
  t.end()
})

void t.test('a message of a session whose stream is elsewhere', t => {
  const tracker = new SessionTracker({ idleTimeoutMs: 0 })
  const who = { clientName: 'n', clientVersion: '1', protocolVersion: null }
  t.same(tracker.observe(message(202, 1, 'unnamed')), [])
  t.same(tracker.observe({ kind: 'identity', endpointId: undefined, sessionId: 's', clientInfo: who }), [])
  t.same(tracker.observe(message(202, 2)), [], 'waits with the other')
  t.same(tracker.unplaced.due(2), ['s'])
  const elsewhere = [{ endpointId: 'own', sessionId: 's', isOpen: true, upstream: null }]
  t.match(tracker.place(['s'], elsewhere, 3), [
    { type: 'use', endpointId: 'own', sessionId: 's', transport: 1, at: 2, requests: 2, who }
  ])
  t.equal(tracker.unplaced.size, 0)
  t.same(tracker.observe(message(202, 4)), [], 'it is known now')
  t.match(tracker.flush(5), [{ type: 'use', endpointId: 'own', at: 4, requests: 1 }])
  t.match(tracker.observe(message(404, 6)), [{ type: 'close', endpointId: 'own', reason: 'gone' }])
  t.end()
})

void t.test('a message of a session that the store does not know creates nothing', t => {
  const tracker = new SessionTracker({ idleTimeoutMs: 0 })
  t.same(tracker.observe(message(202, 1)), [])
  let looks = 0
  for (let now = 1; tracker.unplaced.size > 0; now += 500) {
    const due = tracker.unplaced.due(now)
    if (due.length > 0) looks++
    t.same(tracker.place(due, [], now), [])
  }
  t.equal(looks, 8, 'it is looked up a few times')
  t.equal(tracker.unplaced.dropped, 1)
  t.same(tracker.flush(100_000), [])
  t.end()
})

void t.test('made-up sessions take bounded memory, and those that came last are looked up first', t => {
  const tracker = new SessionTracker({ idleTimeoutMs: 0 })
  for (let i = 0; i < 20_000; i++)
    tracker.observe({ ...message(202, 1), sessionId: `made-up-${i}` } as Observation)
  t.equal(tracker.unplaced.size, 10_000)
  t.equal(tracker.unplaced.dropped, 10_000)
  for (let due = tracker.unplaced.due(1); due.length > 0; due = tracker.unplaced.due(1))
    tracker.place(due, [], 1)
  tracker.observe(message(202, 1_001))
  t.equal(tracker.unplaced.due(1_001)[0], 's')
  t.end()
})

void t.test('sessions of two endpoints with one id are told apart by what the message says', t => {
  const tracker = new SessionTracker({ idleTimeoutMs: 0 })
  for (const endpointId of ['e', 'f'])
    tracker.observe({ ...stream('legacy-opened', 1), endpointId } as Observation)
  tracker.observe(message(202, 2))
  t.match(tracker.flush(3), [{ type: 'use', endpointId: 'e' }])
  const other = new SessionTracker({ idleTimeoutMs: 0 })
  other.observe(message(202, 2))
  const known = ['f', 'e'].map(endpointId => ({ endpointId, sessionId: 's', isOpen: true, upstream: null }))
  t.match(other.place(['s'], known, 3), [{ type: 'use', endpointId: 'e' }])
  t.end()
})

void t.test('uses and ends of a session elsewhere come out in order', t => {
  const tracker = new SessionTracker({ idleTimeoutMs: 0 })
  for (const [status, at] of [
    [202, 1],
    [202, 2],
    [404, 3],
    [202, 4]
  ] as const)
    tracker.observe(message(status, at))
  const known = [{ endpointId: 'e', sessionId: 's', isOpen: true, upstream: null }]
  t.same(brief(tracker.place(['s'], known, 5)), [
    ['use', 's', 2, 2],
    ['close', 's', 3, 'gone'],
    ['use', 's', 4, 1]
  ])
  t.end()
})

void t.test('ids that cannot be stored are counted, long ones hashed', t => {
  const tracker = new SessionTracker({ idleTimeoutMs: 0 })
  t.same(tracker.observe(streamable('POST', 200, { issued: 'a b' }, 1)), [])
  t.same(tracker.observe(streamable('POST', 200, { issued: '\u00ff' }, 1)), [])
  t.equal(tracker.unstorableIds, 2)
  const [event] = tracker.observe(streamable('POST', 200, { issued: 'j'.repeat(10_000) }, 1))
  t.match(event?.sessionId, /^sha256-[0-9a-f]{64}$/)
  t.end()
})

void t.test('what is remembered is bounded, and nothing pending is forgotten', t => {
  const tracker = new SessionTracker({ idleTimeoutMs: 0, maxRemembered: 2 })
  tracker.observe(streamable('POST', 200, { issued: 'a' }, 1_000))
  tracker.observe(streamable('POST', 200, { issued: 'b' }, 2_000))
  tracker.observe(streamable('POST', 200, { sent: 'a' }, 3_000))
  t.same(
    brief(tracker.observe(streamable('POST', 200, { issued: 'c' }, 4_000))),
    [['open', 'c', 4_000, 1]],
    'b made room'
  )
  t.same(brief(tracker.observe(streamable('POST', 200, { issued: 'd' }, 5_000))), [
    ['use', 'a', 3_000, 1],
    ['open', 'd', 5_000, 1]
  ])
  t.same(
    brief(tracker.observe(streamable('POST', 200, { sent: 'a' }, 6_000))),
    [['open', 'a', 6_000, 1]],
    'told as open once more'
  )
  t.end()
})

void t.test('a session idle for too long is forgotten, and told again when it is seen again', t => {
  const seenAgain = {
    request: [streamable('POST', 200, { sent: 's' }, 250), 'open', 1],
    'server message': [{ kind: 'server-message', endpointId: 'e', sessionId: 's', client, at: 250 }, 'use', 0]
  } as const
  for (const [what, [observation, type, requests]] of Object.entries(seenAgain)) {
    const tracker = new SessionTracker({ idleTimeoutMs: 100 })
    tracker.observe(streamable('POST', 200, { issued: 's' }, 1))
    tracker.observe(streamable('POST', 200, { sent: 's' }, 50))
    t.same(brief(tracker.flush(149)), [['use', 's', 50, 1]])
    tracker.observe(streamable('POST', 200, { sent: 's' }, 149))
    t.same(brief(tracker.flush(150)), [['use', 's', 149, 1]], 'it was used in time')
    t.same(tracker.flush(249), [])
    t.same(brief(tracker.observe(observation)), [[type, 's', 250, requests]], what)
    t.same(tracker.observe(observation), [], 'once')
  }
  const forEver = new SessionTracker({ idleTimeoutMs: 0 })
  forEver.observe(streamable('POST', 200, { issued: 's' }, 1))
  forEver.flush(1_000_000)
  t.same(forEver.observe(streamable('POST', 200, { sent: 's' }, 1_000_001)), [], 'without a timeout')
  t.end()
})

void t.test('a request without an answer uses a session known to be open, and proves none', t => {
  const unanswered = (at: number): Observation => ({
    kind: 'unanswered',
    endpointId: 'e',
    sessionId: 's',
    client,
    at
  })
  const tracker = new SessionTracker({ idleTimeoutMs: 100 })
  t.same(tracker.observe(unanswered(1)), [])
  t.same(tracker.flush(2), [], 'nobody saw it open')
  tracker.observe(streamable('POST', 200, { issued: 's' }, 10))
  tracker.suspects.add({ endpointId: 'e', sessionId: 's' })
  t.same(tracker.observe(unanswered(60)), [])
  t.same(brief(tracker.flush(70)), [['use', 's', 60, 0]])
  for (let i = 0; i < 2; i++) tracker.suspects.tick()
  t.match(tracker.suspects.next(), { sessionId: 's' }, 'it is suspected as before')
  t.end()
})

void t.test('a call or stream under way keeps a session, and proves none', t => {
  const present = (at: number): Observation => ({
    kind: 'present',
    endpointId: 'e',
    sessionId: 's',
    client,
    at
  })
  const tracker = new SessionTracker({ idleTimeoutMs: 100 })
  t.match(tracker.observe(present(1)), [
    { type: 'use', sessionId: 's', at: 1, requests: 0, provedAt: 0, ofKnown: true }
  ])
  t.same(tracker.flush(2), [])
  tracker.observe(streamable('POST', 200, { issued: 's' }, 10))
  tracker.suspects.add({ endpointId: 'e', sessionId: 's' })
  for (let at = 60; at < 1_000; at += 50) {
    t.same(tracker.observe(present(at)), [])
    t.same(brief(tracker.flush(at)), [['use', 's', at, 0]])
  }
  for (let i = 0; i < 2; i++) tracker.suspects.tick()
  t.match(tracker.suspects.next(), { sessionId: 's' }, 'it is suspected as before')
  t.ok(tracker.isInUse({ endpointId: 'e', sessionId: 's' }, 1_059))
  t.notOk(tracker.isInUse({ endpointId: 'e', sessionId: 's' }, 1_060))
  t.notOk(tracker.isInUse({ endpointId: 'e', sessionId: 'other' }, 1_000))
  t.end()
})

void t.test('of many sessions in use, each is told of now and then', t => {
  const tracker = new SessionTracker({ idleTimeoutMs: 10_000 })
  const SESSIONS = 1_000
  const useAll = (at: number): void => {
    for (let i = 0; i < SESSIONS; i++) tracker.observe(streamable('POST', 200, { sent: `s${i}` }, at))
  }
  useAll(0)
  const told: SessionEvent[] = []
  for (let at = 100; at < 10_000; at += 100) {
    useAll(at)
    const events = tracker.flush(at)
    t.ok(at === 100 || events.length < SESSIONS / 2, `${events.length} at once`)
    told.push(...events)
  }
  t.ok(told.length < SESSIONS * 25, `${told.length} events of ${SESSIONS * 99} uses`)
  for (let i = 0; i < SESSIONS; i += 100) {
    const ats = [0, ...told.filter(({ sessionId }) => sessionId === `s${i}`).map(({ at }) => at), 10_000]
    const gaps = ats.slice(1).map((at, j) => at - ats[j]!)
    t.ok(Math.max(...gaps) <= 1_000, 'no last use is older than that')
  }
  told.push(...tracker.flush(10_000, Infinity))
  const requests = told.reduce((sum, event) => sum + (event.type === 'use' ? event.requests : 0), 0)
  t.equal(requests, SESSIONS * 99, 'every request is told once')
  t.end()
})

void t.test('a conversation is looked for in each request at first, and in some of the later ones', t => {
  const tracker = new SessionTracker({ idleTimeoutMs: 0 })
  let asked = 0
  const request = (conversation?: string): Observation => ({
    ...{ kind: 'streamable', endpointId: 'e', method: 'POST', status: 200, sessionId: 's' },
    ...{ issuedSessionId: undefined, protocolVersion: undefined, sessionNotFound: false, at: 1 },
    client: { address: '192.0.2.1', userAgent: undefined },
    conversation: () => {
      asked++
      return conversation
    }
  })
  for (let i = 0; i < 100; i++) tracker.observe(request())
  t.equal(asked, 1 + 16 + 6)
  const told = Array.from({ length: 16 }, () => tracker.observe(request('c'))).flat()
  t.match(told, [{ type: 'use', conversation: 'c' }], 'it is told once')
  t.equal(told.length, 1)
  const before = asked
  tracker.observe(request('d'))
  t.equal(asked, before, 'the first one counts')
  t.end()
})

void t.test('a session of two principals is told once by a process', t => {
  const tracker = new SessionTracker({ idleTimeoutMs: 0 })
  const told = ['a', 'a', undefined, 'b', 'b', 'c', 'a'].flatMap(name =>
    tracker.observe({
      ...{ kind: 'streamable', endpointId: 'e', method: 'POST', status: 200, sessionId: 's' },
      ...{ issuedSessionId: undefined, protocolVersion: undefined, sessionNotFound: false, at: 1 },
      client: { address: '192.0.2.1', userAgent: undefined },
      ...(name !== undefined && { principal: { kind: 'oauth', name } })
    })
  )
  t.same(
    told.map(event => [event.type, 'principal' in event && event.principal.name]),
    [
      ['open', 'a'],
      ['use', 'b']
    ]
  )
  t.end()
})
