// Owns the tests of time ranges and of inputs of local time, where clocks change.
import t from 'tap'
import { fromLocal, rangeAt, toLocal } from '../../src/dashboard/range.js'

const HOUR = 3_600_000

void t.test('a last time ends now; a part stands still', t => {
  t.strictSame(rangeAt({ last: '6h' }, 100 * HOUR), { start: 94 * HOUR, end: 100 * HOUR, isLive: true })
  t.equal(rangeAt({ last: '15m' }, HOUR).start, 0.75 * HOUR)
  t.strictSame(rangeAt({ start: 1, end: 2 }, HOUR), { start: 1, end: 2, isLive: false })
  t.end()
})

void t.test('an input shows local time in whole minutes', t => {
  process.env['TZ'] = 'Asia/Kolkata'
  t.equal(toLocal(Date.UTC(2026, 10, 21, 12, 0, 59, 999), false), Date.UTC(2026, 10, 21, 17, 30))
  process.env['TZ'] = 'America/New_York'
  t.equal(toLocal(Date.UTC(2026, 10, 21, 12), false), Date.UTC(2026, 10, 21, 7))
  t.equal(toLocal(Date.UTC(2026, 10, 21, 12, 0, 59), true), Date.UTC(2026, 10, 21, 12), 'or UTC')
  t.equal(fromLocal(Date.UTC(2026, 10, 21, 12), true), Date.UTC(2026, 10, 21, 12))
  t.end()
})

void t.test(
  'what an input shows is the instant that was put in, in each half hour around a change of clocks',
  t => {
    for (const [zone, changes] of [
      ['UTC', [Date.UTC(2026, 2, 29)]],
      ['Europe/Berlin', [Date.UTC(2026, 2, 29, 1)]],
      ['America/New_York', [Date.UTC(2026, 2, 8, 7)]],
      ['Australia/Lord_Howe', [Date.UTC(2026, 9, 3, 15, 30)]]
    ] as const) {
      process.env['TZ'] = zone
      for (const change of changes)
        for (let at = change - 12 * HOUR; at <= change + 12 * HOUR; at += HOUR / 2)
          t.equal(fromLocal(toLocal(at, false), false), at, `${zone} ${new Date(at).toISOString()}`)
    }
    t.end()
  }
)

void t.test('an hour that clocks repeat is one of the two', t => {
  process.env['TZ'] = 'Europe/Berlin'
  const twice = [Date.UTC(2026, 9, 25, 0, 30), Date.UTC(2026, 9, 25, 1, 30)]
  t.equal(toLocal(twice[0]!, false), toLocal(twice[1]!, false))
  t.ok(twice.includes(fromLocal(toLocal(twice[0]!, false), false)))
  t.end()
})

void t.test('an empty input is no instant', t => {
  t.ok(Number.isNaN(fromLocal(NaN, false)))
  t.end()
})
