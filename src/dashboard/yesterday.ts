// Owns what was open at the same time of the day before, to compare with.
import type { MinutePoint } from '../admin/schemas/query-responses.js'
import type { ShownRange } from './range.js'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS
/** Minutes that are read beyond the end of the range, which moves on until they are read again. Chosen. */
const AHEAD_MS = 5 * MINUTE_MS

/** How many were open, by the minute a day later, in epoch seconds. */
export type DayBefore = ReadonlyMap<number, number>

/** What is asked for a range, in epoch ms; undefined where the range is longer than a day: it would overlap itself. */
export function dayBefore({ start, end, isLive }: ShownRange): { start: number; end: number } | undefined {
  if (end - start > DAY_MS) return undefined
  return { start: start - DAY_MS, end: end - DAY_MS + (isLive ? AHEAD_MS : 0) }
}

/** Sums the points of all endpoints. Empty where nothing was open: there is nothing to compare with. */
export function toDayBefore(points: readonly MinutePoint[]): DayBefore {
  const open = new Map<number, number>()
  for (const point of points) {
    const at = (Date.parse(point.time) + DAY_MS) / 1_000
    open.set(at, point.connect_num + (open.get(at) ?? 0))
  }
  return [...open.values()].some(number => number > 0) ? open : new Map()
}
