// Owns the tests of how sessions are counted by what they have in common, and laid out in lanes.
import t from 'tap'
import { breakdown } from '../../src/dashboard/breakdown.js'
import { lanesOf } from '../../src/dashboard/lanes.js'
import type { ListedSession } from '../../src/dashboard/sessions.js'

void t.test('the most frequent first, then by name; without a name not at all', t => {
  const sessions = [
    ['b', null],
    ['a', { at: 1, reason: 'idle' }],
    ['c', null],
    ['a', null],
    [null, null]
  ].map(([clientName, ended]) => ({ clientName, ended }) as ListedSession)
  t.strictSame(
    breakdown(sessions, ({ clientName }) => clientName),
    [
      { name: 'a', count: 2, open: 1 },
      { name: 'b', count: 1, open: 1 },
      { name: 'c', count: 1, open: 1 }
    ]
  )
  t.end()
})

void t.test('bars of the same time are in different lanes, others share one', t => {
  const bars = [
    { start: 0, end: 10 },
    { start: 5, end: 6 },
    { start: 8, end: 20 },
    { start: 10, end: 12 },
    { start: 12, end: 12 }
  ]
  t.same(lanesOf(bars, 0), [0, 1, 1, 0, 0])
  t.same(lanesOf(bars, 3), [0, 1, 2, 1, 3], 'with a gap')
  t.same(lanesOf([], 0), [])
  t.end()
})
