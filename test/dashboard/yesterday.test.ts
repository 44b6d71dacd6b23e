// Owns the tests of the comparison with the day before.
import t from 'tap'
import type { MinutePoint } from '../../src/admin/schemas/query-responses.js'
import { dayBefore, toDayBefore } from '../../src/dashboard/yesterday.js'

const DAY = 86_400_000
const MINUTE = 60_000

const point = (at: number, connect_num: number): MinutePoint => ({
  time: new Date(at).toISOString(),
  endpoint_id: 'files',
  connect_num,
  opened: 0,
  closed: 0,
  peak: 0
})

void t.test('the same range a day earlier, some minutes ahead where it moves on; none beyond a day', t => {
  const range = { start: 2 * DAY, end: 3 * DAY }
  t.strictSame(dayBefore({ ...range, isLive: false }), { start: DAY, end: 2 * DAY })
  t.strictSame(dayBefore({ ...range, isLive: true }), { start: DAY, end: 2 * DAY + 5 * MINUTE })
  t.equal(dayBefore({ ...range, end: 3 * DAY + 1, isLive: false }), undefined)
  t.end()
})

void t.test('endpoints are summed, at the minutes of today', t => {
  const before = toDayBefore([point(0, 3), point(MINUTE, 0), point(0, 4)])
  t.same(
    [...before],
    [
      [DAY / 1_000, 7],
      [(DAY + MINUTE) / 1_000, 0]
    ]
  )
  t.equal(toDayBefore([point(0, 0), point(MINUTE, 0)]).size, 0, 'a day of zeros is nothing to compare with')
  t.end()
})
