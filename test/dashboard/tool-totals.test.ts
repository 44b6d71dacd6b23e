// Owns the tests of what is made of the use of tools: totals, and a series over hours or days.
import t from 'tap'
import type { ToolUsageInfo } from '../../src/admin/schemas/monitoring-responses.js'
import { isTool, meanOf, seriesOf, spanFor, totalsOf } from '../../src/dashboard/tool-totals.js'

const HOUR = 3_600_000
const at = Date.UTC(2026, 10, 28, 9)
const item = (hours: number, tool: string, given: Partial<ToolUsageInfo> = {}): ToolUsageInfo => ({
  time: new Date(at + hours * HOUR).toISOString(),
  endpointId: 'files',
  tool,
  calls: 1,
  errors: 0,
  durationSum: 10,
  durationMax: 10,
  ...given
})
const items = [
  item(0, 'read', { calls: 4, errors: 1, durationSum: 80, durationMax: 50 }),
  item(0, 'write'),
  item(2, 'read', { durationSum: 70, durationMax: 70 }),
  item(2, 'read', { endpointId: 'mail' })
]

void t.test('a total for each tool of each endpoint', t => {
  t.strictSame(totalsOf(items), [
    { endpointId: 'files', tool: 'read', calls: 5, errors: 1, durationSum: 150, durationMax: 70 },
    { endpointId: 'files', tool: 'write', calls: 1, errors: 0, durationSum: 10, durationMax: 10 },
    { endpointId: 'mail', tool: 'read', calls: 1, errors: 0, durationSum: 10, durationMax: 10 }
  ])
  t.same(totalsOf(items).map(meanOf), [30, 10, 10])
  t.equal(meanOf({ calls: 0, durationSum: 0 }), 0)
  t.strictSame(totalsOf(items.map(each => ({ ...each, time: null }))), totalsOf(items), 'of by=total too')
  t.end()
})

void t.test('names that only look alike together are apart', t => {
  const alike = [item(0, 'b\nc', { endpointId: 'a' }), item(0, 'c', { endpointId: 'a\nb' })]
  t.equal(totalsOf(alike).length, 2)
  t.notOk(isTool(alike[0]!, alike[1]))
  t.ok(isTool(alike[0]!, undefined), 'no tool chosen: any')
  t.end()
})

void t.test('each hour that the range touches has its sum, those without a call too', t => {
  const { times, of, spanMs } = seriesOf(items, { start: at + 5, end: at + 2 * HOUR }, 'hour')
  t.equal(spanMs, HOUR)
  t.same(
    times,
    [0, 1, 2].map(hours => at / 1_000 + hours * 3_600)
  )
  t.same(of, [
    { calls: 5, errors: 1, durationSum: 90, durationMax: 50 },
    { calls: 0, errors: 0, durationSum: 0, durationMax: 0 },
    { calls: 2, errors: 0, durationSum: 80, durationMax: 70 }
  ])
  t.end()
})

void t.test('days are those of UTC; what is outside of the range is left out', t => {
  const days = [item(-9, 'read', { calls: 7 }), item(-9 - 24, 'read'), item(15, 'read')]
  const { times, of } = seriesOf(days, { start: at, end: at + HOUR }, 'day')
  t.same(times, [Date.UTC(2026, 10, 28) / 1_000])
  t.same(
    of.map(({ calls }) => calls),
    [7]
  )
  t.end()
})

void t.test('long ranges are read by the day', t => {
  t.same([HOUR, 48 * HOUR, 48 * HOUR + 1].map(spanFor), ['hour', 'hour', 'day'])
  t.end()
})
