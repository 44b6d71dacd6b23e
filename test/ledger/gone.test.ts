// Owns that `gone` is taken back by later proofs, whatever the order in which proxies tell: generated events in several
// orders, against an oracle that knows no order.
import { deepStrictEqual } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { Transport } from '../../src/mcp/transports.js'
import type { CloseEvent, FinalReason, OpenEvent, UseEvent } from '../../src/sessions/events.js'
import { MergingStore } from '../sessions/merging-store.js'

const IDLE_TIMEOUT_MS = 30
const NOW = 100
const RUNS = 50_000
const kinds = ['open', 'use', 'touch', 'held', 'gone', 'gone', 'delete', 'killed', 'stream_end'] as const

interface Told {
  kind: (typeof kinds)[number]
  at: number
  proxy: 0 | 1
}

const end: readonly FinalReason[] = ['killed', 'delete', 'stream_end', 'gone']
const isEnd = (kind: string): kind is FinalReason => (end as readonly string[]).includes(kind)

function eventOf({ kind, at }: Told, transport: Transport): OpenEvent | UseEvent | CloseEvent {
  const session = { endpointId: 'e', sessionId: 's', transport, at }
  if (isEnd(kind)) return { type: 'close', ...session, reason: kind }
  if (kind === 'use') return { type: 'use', ...session, requests: 1 }
  if (kind === 'touch') return { type: 'use', ...session, requests: 0, provedAt: 0 }
  return { type: 'open', ...session, clientAddress: '', userAgent: null, requests: 1, held: kind === 'held' }
}

/** What the words of DESIGN and NEXT say of all that was told. */
function expected(told: readonly Told[], transport: Transport) {
  const seen = told.filter(({ kind }) => !isEnd(kind)).map(({ at }) => at)
  if (seen.length === 0) return undefined
  const isHeld = told.some(({ kind }) => kind === 'held')
  const proved = Math.max(
    0,
    ...told.filter(({ kind }) => !isEnd(kind) && kind !== 'touch').map(({ at }) => at)
  )
  const [first] = told
    .filter(({ kind, at }) => isEnd(kind) && (kind !== 'gone' || (at > proved && !isHeld)))
    .sort((a, b) => a.at - b.at || end.indexOf(a.kind as FinalReason) - end.indexOf(b.kind as FinalReason))
  const finals = told.filter(({ kind }) => isEnd(kind) && kind !== 'gone').map(({ at }) => at - 1)
  const connectAt = Math.min(...seen, ...finals)
  const idleAt = transport === Transport.sse && isHeld ? Infinity : Math.max(...seen) + IDLE_TIMEOUT_MS
  if (idleAt < (first?.at ?? NOW + 1)) return { connectAt, disconnectAt: idleAt, reason: 'idle' }
  if (!first) return { connectAt, disconnectAt: connectAt, reason: null }
  return { connectAt, disconnectAt: Math.max(first.at, connectAt + 1), reason: first.kind }
}

void t.test('the same row in every order', { timeout: 120_000 }, t => {
  const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 31))
  t.comment(`seed ${seed}`)
  const one = fc.record<Told>({
    kind: fc.constantFrom(...kinds),
    at: fc.integer({ min: 1, max: 60 }),
    proxy: fc.constantFrom(0, 1)
  })
  const reasons = new Map<string | null | undefined, number>()
  const holds = fc.property(
    fc
      .array(one, { maxLength: 8 })
      .chain(told => fc.tuple(fc.constant(told), fc.shuffledSubarray(told, { minLength: told.length }))),
    fc.boolean(),
    ([told, shuffled], isSse) => {
      const transport = isSse ? Transport.sse : Transport.streamable
      const events = isSse ? told : told.filter(({ kind }) => kind !== 'held' && kind !== 'stream_end')
      const order = shuffled.filter(each => events.includes(each))
      const store = new MergingStore(IDLE_TIMEOUT_MS)
      for (const each of order) store.apply(eventOf(each, transport), { id: String(each.proxy), boot: 1 })
      store.endIdle(NOW)
      const record = store.records.get('s')
      const row = record && {
        connectAt: record.connectAt,
        disconnectAt: record.disconnectAt,
        reason: record.reason
      }
      reasons.set(row?.reason, (reasons.get(row?.reason) ?? 0) + 1)
      deepStrictEqual(row, expected(events, transport))
    }
  )
  const { failed, errorInstance, counterexample } = fc.check(holds, { seed, numRuns: RUNS })
  t.notOk(failed, `${RUNS} sets of events`, { counterexample, error: String(errorInstance) })
  for (const reason of ['gone', 'delete', 'idle', null])
    t.ok((reasons.get(reason) ?? 0) > RUNS / 100, `enough of them: ${reason ?? 'open'}`)
  t.end()
})

void t.test('of many times that a session was found gone, the first ones and the last one are kept', t => {
  const store = new MergingStore(0)
  const tell = (kind: Told['kind'], at: number): void =>
    store.apply(eventOf({ kind, at, proxy: 0 }, Transport.streamable), { id: '0', boot: 1 })
  const row = () => store.records.get('s')!
  tell('open', 1)
  for (let at = 100; at < 1_100; at++) tell('gone', at)
  t.equal(row().goneAt.length, 8)
  t.match(row(), { reason: 'gone', disconnectAt: 100 })
  tell('use', 100)
  t.match(row(), { reason: 'gone', disconnectAt: 101 }, 'accepted after the first of them')
  tell('use', 1_098)
  t.match(row(), { reason: 'gone', disconnectAt: 1_099 })
  tell('use', 1_099)
  t.match(row(), { reason: null, disconnectAt: 1, connectAt: 1 })
  t.end()
})
