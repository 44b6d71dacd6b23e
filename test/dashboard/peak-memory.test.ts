// Owns the tests of the peak that the page remembers: it never shrinks while its minute is in the range.
import t from 'tap'
import { PeakMemory } from '../../src/dashboard/peak-memory.js'

const MINUTE = 60_000

void t.test('the most of each minute stays, whatever comes later', t => {
  const peaks = new PeakMemory()
  t.equal(peaks.highest(0, 10 * MINUTE), 0)
  for (const [at, open] of [
    [5 * MINUTE, 3],
    [5 * MINUTE + 20_000, 9],
    [5 * MINUTE + 40_000, 2],
    [6 * MINUTE, 4]
  ] as const)
    peaks.note(at, open)
  t.equal(peaks.highest(0, 10 * MINUTE), 9)
  t.equal(peaks.highest(5 * MINUTE + 59_999, 10 * MINUTE), 9, 'a minute that begins before the range counts')
  t.equal(peaks.highest(6 * MINUTE, 10 * MINUTE), 4)
  t.equal(peaks.highest(0, 5 * MINUTE - 1), 0)
  peaks.clear()
  t.equal(peaks.highest(0, 10 * MINUTE), 0)
  t.end()
})

void t.test('the minutes of 30 days are remembered, no more', t => {
  const peaks = new PeakMemory()
  const minutes = 30 * 24 * 60
  for (let i = 0; i <= minutes; i++) peaks.note(i * MINUTE, minutes - i)
  t.equal(peaks.highest(0, Infinity), minutes - 1, 'the oldest is forgotten')
  t.end()
})
