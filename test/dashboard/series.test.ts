// Owns the tests of how minutes of endpoints become the columns of the chart.
import t from 'tap'
import type { MinutePoint } from '../../src/admin/schemas/query-responses.js'
import { bucketFor, summarize, toSeries } from '../../src/dashboard/series.js'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

function point(minute: number, given: Partial<MinutePoint> = {}): MinutePoint {
  const time = new Date(minute * MINUTE_MS).toISOString()
  return { time, endpoint_id: 'files', connect_num: 0, opened: 0, closed: 0, peak: 0, ...given }
}

void t.test('buckets are round numbers of minutes, and at most 720 of them', t => {
  for (const [rangeMs, minutes] of [
    [0, 1],
    [12 * HOUR_MS, 1],
    [12 * HOUR_MS + 1, 2],
    [24 * HOUR_MS, 2],
    [7 * 24 * HOUR_MS, 15],
    [365 * 24 * HOUR_MS, 1440],
    [100 * 365 * 24 * HOUR_MS, 1440]
  ] as const)
    t.equal(bucketFor(rangeMs), minutes * MINUTE_MS, `${rangeMs} ms`)
  t.end()
})

void t.test('no points, no columns, and a summary of nothing', t => {
  const series = toSeries([], MINUTE_MS)
  t.strictSame(series, {
    times: [],
    open: [],
    opened: [],
    closed: [],
    peak: [],
    highest: 0,
    bucketMs: MINUTE_MS
  })
  t.strictSame(summarize(series), { opened: 0, closed: 0, peak: 0, peakIsExact: true })
  t.end()
})

void t.test('minutes of one endpoint stay as they are, in the order of time', t => {
  const series = toSeries(
    [
      point(2, { connect_num: 3, opened: 1, closed: 2, peak: 5 }),
      point(1, { connect_num: 4, opened: 7, closed: 0, peak: 4 })
    ],
    MINUTE_MS
  )
  t.match(series, {
    times: [60, 120],
    open: [4, 3],
    opened: [7, 1],
    closed: [0, 2],
    peak: [4, 5],
    highest: 4
  })
  t.strictSame(summarize(series), { opened: 8, closed: 2, peak: 5, peakIsExact: true })
  t.end()
})

void t.test('endpoints are summed; their peaks, of different moments, are not known together', t => {
  const series = toSeries(
    [
      point(1, { connect_num: 4, opened: 1, peak: 9 }),
      point(1, { endpoint_id: 'mail', connect_num: 2, opened: 2, closed: 1, peak: 9 })
    ],
    MINUTE_MS
  )
  t.match(series, { times: [60], open: [6], opened: [3], closed: [1], peak: [null], highest: 6 })
  t.strictSame(summarize(series), { opened: 3, closed: 1, peak: 6, peakIsExact: false })
  t.end()
})

void t.test('a bucket has what is open at its beginning, the sum of events, and the largest peak', t => {
  const points = [9, 10, 11, 14, 15].map((minute, i) =>
    point(minute, { connect_num: 10 - i, opened: i, closed: 1, peak: 20 + (i % 3) })
  )
  const series = toSeries(points, 5 * MINUTE_MS)
  t.match(series, {
    // The first bucket is drawn where its first minute is.
    times: [540, 600, 900],
    open: [10, 9, 6],
    opened: [0, 1 + 2 + 3, 4],
    closed: [1, 3, 1],
    peak: [20, 22, 21],
    highest: 10
  })
  const unknown = toSeries([point(10), point(11, { peak: null }), point(12, { peak: 7 })], 5 * MINUTE_MS)
  t.strictSame(unknown.peak, [null], 'one unknown peak makes that of the bucket unknown')
  t.end()
})
