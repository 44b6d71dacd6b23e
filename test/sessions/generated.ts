// Owns generated histories: steps that shrink to simple ones, and running many of them with a seed that is told.
import fc from 'fast-check'
import type { Test } from 'tap'
import type { SessionRecord } from '../../src/ledger/merge.js'

const HISTORIES = 100_000
const LONGEST = 40

export const ids = ['a', 'b'] as const
export type Id = (typeof ids)[number]

/** Something that happens to a session, or to one of the two proxies. */
export interface Step<Happening> {
  happening: Happening
  proxy: 0 | 1
  id: Id
  /** By how much the clock goes on before it; sometimes it goes back. */
  ms: number
}

/**
 * `HISTORIES` of steps of these happenings and gaps between them, the simple ones first: failures shrink to those.
 * `run`: plays one, throws where it does not end as it should, and answers the sessions there were; they must have ended for
 * each of the reasons often enough.
 */
export function checkHistories<Happening extends string>(
  t: Test,
  happenings: readonly Happening[],
  gapsMs: readonly number[],
  reasons: readonly SessionRecord['reason'][],
  run: (steps: readonly Step<Happening>[]) => Iterable<SessionRecord>
): void {
  const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 31))
  t.comment(`seed ${seed}`)
  const step = fc.nat({ max: happenings.length * 2 * 2 * gapsMs.length - 1 }).map(n => ({
    happening: happenings[n % happenings.length]!,
    proxy: (Math.floor(n / happenings.length) % 2) as 0 | 1,
    id: ids[Math.floor(n / happenings.length / 2) % 2]!,
    ms: gapsMs[Math.floor(n / happenings.length / 4)]!
  }))
  const ended = new Map<string | null, number>()
  const holds = fc.property(fc.array(step, { maxLength: LONGEST, size: 'max' }), steps => {
    for (const { reason } of run(steps)) ended.set(reason, (ended.get(reason) ?? 0) + 1)
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
