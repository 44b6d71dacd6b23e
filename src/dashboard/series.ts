// Owns the minute series as the chart draws it: summed over endpoints, and over several minutes where the range is long.
import type { MinutePoint } from '../admin/schemas/query-responses.js'

const MINUTE_MS = 60_000
/** About one point for each two pixels of a wide chart; twelve hours have all their minutes. */
const MAX_POINTS = 720

/** Columns of the same length. */
export interface Series {
  /** Epoch seconds, where each bucket begins. */
  times: number[]
  /** Open at that time. */
  open: number[]
  /** Within the bucket. */
  opened: number[]
  closed: number[]
  /** The most open at once within the bucket; null where that is not known. */
  peak: (number | null)[]
  /** The most open at a whole minute. */
  highest: number
  bucketMs: number
}

/** Round numbers of minutes. */
const BUCKETS = [1, 2, 5, 10, 15, 30, 60, 120, 360, 1440]

/** The length of a bucket, in ms, for a range of this length. */
export function bucketFor(rangeMs: number): number {
  const minutes = BUCKETS.find(bucket => rangeMs / (bucket * MINUTE_MS) <= MAX_POINTS)
  return (minutes ?? BUCKETS.at(-1)!) * MINUTE_MS
}

/** Sums the points of all endpoints. Peaks of several endpoints need not be at the same time: the sum has none. */
export function toSeries(points: readonly MinutePoint[], bucketMs: number): Series {
  const minutes = new Map<number, { open: number; opened: number; closed: number; peak: number | null }>()
  for (const point of points) {
    const time = Date.parse(point.time)
    const sum = minutes.get(time)
    if (sum) {
      sum.open += point.connect_num
      sum.opened += point.opened
      sum.closed += point.closed
      sum.peak = null
    } else {
      const { connect_num: open, opened, closed, peak } = point
      minutes.set(time, { open, opened, closed, peak })
    }
  }
  const series: Series = { times: [], open: [], opened: [], closed: [], peak: [], highest: 0, bucketMs }
  let bucket: number | undefined
  for (const [time, minute] of [...minutes].sort(([a], [b]) => a - b)) {
    series.highest = Math.max(series.highest, minute.open)
    const start = Math.floor(time / bucketMs) * bucketMs
    const last = series.times.length - 1
    if (start === bucket) {
      series.opened[last]! += minute.opened
      series.closed[last]! += minute.closed
      series.peak[last] = larger(series.peak[last]!, minute.peak)
      continue
    }
    bucket = start
    series.times.push(time / 1_000)
    series.open.push(minute.open)
    series.opened.push(minute.opened)
    series.closed.push(minute.closed)
    series.peak.push(minute.peak)
  }
  return series
}

const larger = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? null : Math.max(a, b)

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0)

/** What happened in a series as a whole. */
export interface Summary {
  opened: number
  closed: number
  /** The most open at once; where only whole minutes are known, at one of them. */
  peak: number
  peakIsExact: boolean
}

/** Adds up a series. */
export function summarize(series: Series): Summary {
  const known = series.peak.filter(peak => peak !== null)
  const peakIsExact = known.length === series.peak.length
  const peak = peakIsExact ? known.reduce((most, number) => Math.max(most, number), 0) : series.highest
  return { opened: sum(series.opened), closed: sum(series.closed), peak, peakIsExact }
}
