// Owns the time range that chart and history are about, and its form in inputs of local time.

export const HOUR_MS = 3_600_000
export const DAY_MS = 24 * HOUR_MS
const MINUTE_MS = 60_000

/** The ranges that end now, by the names that they have in the address of the page; in ms. */
export const lasts = {
  '15m': 15 * MINUTE_MS,
  '1h': HOUR_MS,
  '6h': 6 * HOUR_MS,
  '24h': DAY_MS,
  '7d': 7 * DAY_MS,
  '30d': 30 * DAY_MS
} as const
/** The name of one of them. */
export type Last = keyof typeof lasts

/** What the reader chose: a time up to now, or from one instant to another, in epoch ms. */
export type RangeChoice = { last: Last } | { start: number; end: number }

/** In epoch ms. */
export interface ShownRange {
  start: number
  end: number
  /** Its end moves with the time. */
  isLive: boolean
}

/** What was chosen, as it is at `now`. */
export const rangeAt = (choice: RangeChoice, now: number): ShownRange =>
  'last' in choice
    ? { start: now - lasts[choice.last], end: now, isLive: true }
    : { ...choice, isLive: false }

/** The difference of local time, or of UTC, to UTC at an instant. */
type Offset = (at: number) => number

const localOffset: Offset = at => new Date(at).getTimezoneOffset() * MINUTE_MS
const offsetOf = (isUtc: boolean): Offset => (isUtc ? () => 0 : localOffset)

/** An instant as an input of local time holds it: whole minutes, as if local time were UTC. `isUtc`: times are shown in UTC. */
export const toLocal = (at: number, isUtc: boolean): number =>
  Math.floor((at - offsetOf(isUtc)(at)) / MINUTE_MS) * MINUTE_MS

/** The instant that an input of local time holds; NaN for an empty one. An hour that clocks repeat is taken as one of the two. */
export function fromLocal(local: number, isUtc: boolean): number {
  const offset = offsetOf(isUtc)
  return local + offset(local + offset(local))
}
