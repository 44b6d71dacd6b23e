// Owns the tests of how numbers, times and reasons read. Local time is that of Berlin.
import { mock } from 'node:test'
import t from 'tap'

// The formats take the time zone when they are made.
process.env['TZ'] = 'Europe/Berlin'
const {
  bytesText,
  clockText,
  countText,
  durationText,
  latencyText,
  minuteOrDayText,
  minuteText,
  reasonText,
  shareText,
  tellTimesIn,
  utcDayText
} = await import('../../src/dashboard/format.js')

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

void t.test('a duration has its two largest units', t => {
  for (const [ms, text] of [
    [-5, '0 s'],
    [0, '0 s'],
    [999, '0 s'],
    [MINUTE - 1, '59 s'],
    [MINUTE, '1 m 00 s'],
    [3 * MINUTE + 20 * SECOND, '3 m 20 s'],
    [HOUR - 1, '59 m 59 s'],
    [HOUR, '1 h 00 m'],
    [5 * HOUR + 2 * MINUTE + 59 * SECOND, '5 h 02 m'],
    [DAY - 1, '23 h 59 m'],
    [DAY, '1 d 0 h'],
    [12 * DAY + 4 * HOUR, '12 d 4 h'],
    [1_000 * DAY, '1000 d 0 h']
  ] as const)
    t.equal(durationText(ms), text)
  t.end()
})

void t.test('large numbers are grouped', t => {
  t.same([0, 999, 1_000, 1_234_567].map(countText), ['0', '999', '1,000', '1,234,567'])
  t.end()
})

void t.test('bytes have the unit that leaves the fewest digits before the point', t => {
  for (const [bytes, text] of [
    [0, '0 B'],
    [999, '999 B'],
    [1_000, '1 kB'],
    [1_540, '1.5 kB'],
    [34_200_000, '34.2 MB'],
    [1e12, '1 TB'],
    [5e15, '5,000 TB']
  ] as const)
    t.equal(bytesText(bytes), text)
  t.end()
})

void t.test('how long a call took, and how often calls fail', t => {
  t.same([0, 0.4, 340, 999.4, 1_240, 59_990, 61_000].map(latencyText), [
    '0 ms',
    '0 ms',
    '340 ms',
    '999 ms',
    '1.2 s',
    '60 s',
    '1 m 01 s'
  ])
  t.same([0.191, 0.0034, 1].map(shareText), ['19%', '0.34%', '100%'])
  t.end()
})

void t.test('a day of UTC is told as that, whatever the zone', t => {
  t.equal(utcDayText(Date.UTC(2026, 10, 21, 23, 30)), '21 Nov')
  t.end()
})

void t.test('times have their day where it is not today', t => {
  mock.timers.enable({ apis: ['Date'], now: Date.UTC(2026, 2, 29, 12) })
  t.teardown(() => mock.timers.reset())
  t.equal(clockText(Date.UTC(2026, 2, 29, 0, 59, 58)), '01:59:58')
  t.equal(clockText(Date.UTC(2026, 2, 29, 1)), '03:00:00', 'summer time begins')
  t.equal(minuteText(Date.UTC(2026, 2, 28, 23)), '00:00', 'today begins')
  t.equal(minuteText(Date.UTC(2026, 2, 28, 22, 59)), '28 Mar 23:59')
  t.end()
})

void t.test('times are told in the zone that was chosen', t => {
  mock.timers.enable({ apis: ['Date'], now: Date.UTC(2026, 6, 1, 12) })
  t.teardown(() => {
    mock.timers.reset()
    tellTimesIn(undefined)
  })
  t.equal(clockText(Date.UTC(2026, 6, 1, 10)), '12:00:00')
  tellTimesIn('UTC')
  t.equal(clockText(Date.UTC(2026, 6, 1, 10)), '10:00:00')
  t.equal(minuteText(Date.UTC(2026, 5, 30, 23, 30)), '30 Jun 23:30')
  t.equal(minuteOrDayText(Date.UTC(2026, 6, 1)), '1 Jul')
  t.end()
})

void t.test('on an axis a day takes the place of its midnight', t => {
  t.equal(minuteOrDayText(Date.UTC(2026, 6, 14, 22)), '15 Jul')
  t.equal(minuteOrDayText(Date.UTC(2026, 6, 14, 22, 1)), '00:01')
  t.equal(minuteOrDayText(Date.UTC(2026, 11, 31, 23)), '1 Jan')
  t.end()
})

void t.test('every reason has words; one that is new stays as it is', t => {
  for (const reason of ['delete', 'stream_end', 'gone', 'idle', 'lost', 'killed'])
    t.not(reasonText(reason), reason)
  t.equal(reasonText('eaten'), 'eaten')
  t.end()
})
