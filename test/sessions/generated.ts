// Owns generated histories: steps that shrink to simple ones, running many of them with a seed that is told, and what holds
// of a session whatever its transport.
import { deepStrictEqual, ok } from 'node:assert'
import fc from 'fast-check'
import type { Test } from 'tap'
import type { SessionRecord } from '../../src/ledger/model/merge.js'
import type { MergingStore } from './merging-store.js'

const HISTORIES = 100_000
const LONGEST = 40

export const ids = ['a', 'b'] as const
export type Id = (typeof ids)[number]

/** Something that happens to a session, or to one of the proxies. */
export interface Step<Happening> {
  happening: Happening
  proxy: number
  id: Id
  /** By how much the clock goes on before it; sometimes it goes back. */
  ms: number
}

/** What happened to a session, as far as the oracle of each transport keeps it. */
export interface Facts {
  proofs: number[]
  /** The last one that takes an earlier "gone" back. */
  acceptedAt: number
  /** As they happened, not by time. */
  firstProof: number | undefined
  requests: number
}

export const noFacts = (): Facts => ({
  proofs: [],
  acceptedAt: -Infinity,
  firstProof: undefined,
  requests: 0
})

export function prove(facts: Facts, at: number, requests: number, accepted = true): void {
  facts.proofs.push(at)
  if (accepted) facts.acceptedAt = Math.max(facts.acceptedAt, at)
  facts.firstProof ??= at
  facts.requests += requests
}

/** Several proxies and the store that they tell. */
export interface World<Happening> {
  readonly store: MergingStore
  do(step: Step<Happening>): void
  /** Everything that is under way comes to rest. */
  settle(): void
  /** Throws where a session did not end as it should. */
  check(): void
}

/** How many proxies tell the store: each number has its own histories. */
const PROXIES = [2, 3]

/**
 * `HISTORIES` of steps of these happenings, each beginning with the first of them, and gaps between: the simple ones come
 * first, as failures shrink to those. Sessions must have ended for each of the reasons often enough.
 */
export function checkHistories<Happening extends string>(
  t: Test,
  happenings: readonly Happening[],
  gapsMs: readonly number[],
  reasons: readonly SessionRecord['reason'][],
  newWorld: (proxies: number) => World<Happening>
): void {
  for (const proxies of PROXIES)
    void t.test(`over ${proxies} proxies`, t => {
      check(t, happenings, gapsMs, reasons, proxies, () => newWorld(proxies))
      t.end()
    })
}

function check<Happening extends string>(
  t: Test,
  happenings: readonly Happening[],
  gapsMs: readonly number[],
  reasons: readonly SessionRecord['reason'][],
  proxies: number,
  newWorld: () => World<Happening>
): void {
  const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 31))
  t.comment(`seed ${seed}`)
  const step = fc.nat({ max: happenings.length * proxies * 2 * gapsMs.length - 1 }).map(n => ({
    happening: happenings[n % happenings.length]!,
    proxy: Math.floor(n / happenings.length) % proxies,
    id: ids[Math.floor(n / happenings.length / proxies) % 2]!,
    ms: gapsMs[Math.floor(n / happenings.length / proxies / 2)]!
  }))
  const ended = new Map<string | null, number>()
  const holds = fc.property(fc.array(step, { maxLength: LONGEST, size: 'max' }), steps => {
    const world = newWorld()
    world.do({ happening: happenings[0]!, proxy: 0, id: 'a', ms: 0 })
    for (const each of steps) world.do(each)
    world.settle()
    world.check()
    for (const { reason } of world.store.records.values()) ended.set(reason, (ended.get(reason) ?? 0) + 1)
  })
  const { failed, errorInstance, counterexample } = fc.check(holds, { seed, numRuns: HISTORIES })
  t.notOk(failed, `${HISTORIES} histories end as the oracle says`, {
    history: counterexample?.[0].map(
      ({ happening, proxy, id, ms }) => `+${ms} ${happening} ${id} by ${proxy}`
    ),
    error: String(errorInstance)
  })
  for (const reason of reasons)
    t.ok((ended.get(reason) ?? 0) > HISTORIES / 100, `enough of them: ${reason ?? 'open'}`)
}

/**
 * Nothing is known of a session that nobody saw open; of the others, `checkEnd` answers when they were seen to end, if they
 * were.
 */
export function checkSessions<Truth extends Facts>(
  truth: Record<Id, Truth>,
  store: MergingStore,
  clockWentBack: boolean,
  checkEnd: (truth: Truth, record: SessionRecord) => number | undefined
): void {
  for (const id of ids) {
    const facts = truth[id]
    const record = store.records.get(id)
    if (facts.firstProof === undefined) {
      deepStrictEqual(record, undefined, 'nobody saw it open')
      continue
    }
    ok(record)
    deepStrictEqual(record.lastSeenAt, Math.max(...facts.proofs))
    deepStrictEqual(record.requestCount, facts.requests, 'each accepted request once, and nothing else')
    const endAt = checkEnd(facts, record)
    const firstKnown = Math.min(facts.firstProof, (endAt ?? Infinity) - 1)
    if (!clockWentBack) deepStrictEqual(record.connectAt, firstKnown)
    else ok(record.connectAt <= firstKnown && record.connectAt >= Math.min(...facts.proofs, firstKnown))
  }
}
