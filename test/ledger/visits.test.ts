// Owns that visits are what the presence told so far adds up to, in whichever order: the pure merge against the oracle.
import t from 'tap'
import { belongsTo, mergeVisits, presumeClosed, type SessionRecord } from '../../src/ledger/model/merge.js'
import type { VisitEvent } from '../../src/sessions/events.js'
import { Random } from '../support/random.js'
import { visitsOf } from '../support/visit-oracle.js'

const HISTORIES = 30_000
const TIMEOUT = 100
const ORIGIN = { id: 'proxy', boot: 1 }

const fact = (from: number, at: number, requests = 1): VisitEvent => ({
  type: 'visit',
  endpointId: 'e',
  sessionId: `${from}-${at}-${Math.random()}`,
  visitor: 'v',
  from,
  at,
  clientAddress: '192.0.2.1',
  userAgent: null,
  requests,
  who: { clientName: `name${from % 3}`, clientVersion: null, protocolVersion: null }
})

/** Tells facts one by one; before each, what is idle at the instant given with it is closed. */
function told(facts: readonly { event: VisitEvent; now: number }[], end: number): SessionRecord[] {
  let visits: SessionRecord[] = []
  const closeIdle = (now: number): void => {
    visits = visits.map(visit =>
      visit.lastSeenAt + TIMEOUT <= now ? presumeClosed(visit, visit.lastSeenAt + TIMEOUT, 'idle') : visit
    )
  }
  for (const { event, now } of facts) {
    closeIdle(now)
    const met = visits.filter(visit => belongsTo(visit, event, { idleTimeoutMs: TIMEOUT }))
    visits = [...visits.filter(visit => !met.includes(visit)), mergeVisits(met, event, ORIGIN)]
  }
  closeIdle(end)
  return visits.sort((a, b) => a.connectAt - b.connectAt)
}

/** What is wrong with the outcome, if anything. */
function difference(facts: readonly { event: VisitEvent; now: number }[], end: number): string | undefined {
  const expected = visitsOf(
    facts.map(({ event }) => event),
    TIMEOUT
  ).map(({ connectAt, lastSeenAt, requestCount }) => {
    const isOver = lastSeenAt + TIMEOUT <= end
    const names = facts
      .filter(({ event }) => event.from >= connectAt && event.at <= lastSeenAt)
      .map(({ event }) => event.who.clientName!)
    return {
      connectAt,
      lastSeenAt,
      requestCount,
      disconnectAt: isOver ? lastSeenAt + TIMEOUT : connectAt,
      reason: isOver ? 'idle' : null,
      clientName: names.sort()[0]
    }
  })
  const found = told(facts, end).map(
    ({ connectAt, lastSeenAt, requestCount, disconnectAt, reason, clientName }) => ({
      connectAt,
      lastSeenAt,
      requestCount,
      disconnectAt,
      reason,
      clientName
    })
  )
  return JSON.stringify(found) === JSON.stringify(expected)
    ? undefined
    : `${JSON.stringify(found)} instead of ${JSON.stringify(expected)}`
}

void t.test(`${HISTORIES} histories in any order`, t => {
  const random = new Random()
  t.comment(`seed ${random.seed}`)
  let visits = 0
  for (let i = 0; i < HISTORIES; i++) {
    const end = random.int(200, 3_000)
    const facts = Array.from({ length: random.int(1, 12) }, () => {
      const from = random.int(0, end)
      const at = random.chance(0.5) ? from : Math.min(end, from + random.int(0, 250))
      return { event: fact(from, at, random.int(0, 3)), now: random.int(0, end) }
    })
    let failing = facts
    let wrong = difference(failing, end)
    visits += told(facts, end).length
    if (wrong === undefined) continue
    for (let k = 0; k < failing.length;) {
      const fewer = failing.toSpliced(k, 1)
      const still = difference(fewer, end)
      if (still === undefined) k++
      else [failing, wrong] = [fewer, still]
    }
    t.fail(wrong, { end, facts: failing.map(({ event, now }) => [event.from, event.at, now]) })
    break
  }
  t.ok(visits > HISTORIES, `${visits} visits`)
  t.end()
})

void t.test('what touches at the very moment of the idle end is another visit', t => {
  const [first, second] = told(
    [
      { event: fact(0, 0), now: 0 },
      { event: fact(TIMEOUT, TIMEOUT), now: 0 }
    ],
    TIMEOUT
  )
  t.match(first, { connectAt: 0, disconnectAt: TIMEOUT, reason: 'idle' })
  t.match(second, { connectAt: TIMEOUT, disconnectAt: TIMEOUT, reason: null })
  t.end()
})

void t.test('without an idle timeout a client is on one visit for ever', t => {
  const visit = mergeVisits([], fact(5, 5), ORIGIN)
  t.ok(belongsTo(visit, fact(Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER), { idleTimeoutMs: 0 }))
  t.ok(belongsTo(visit, fact(0, 0), { idleTimeoutMs: 0 }))
  t.end()
})
