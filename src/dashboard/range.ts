// Owns the time range that chart and history are about, and its form in inputs of local time.

const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000

/** In epoch ms. */
export interface ShownRange {
  start: number
  end: number
  /** Its end moves with the time. */
  isLive: boolean
}

/** The last hours up to `now`. */
export const lastHours = (hours: number, now: number): ShownRange => ({
  start: now - hours * HOUR_MS,
  end: now,
  isLive: true
})

/** An instant as an input of local time holds it: whole minutes, as if local time were UTC. */
export const toLocal = (at: number): number => Math.floor((at - offsetMs(at)) / MINUTE_MS) * MINUTE_MS

/** The instant that an input of local time holds; NaN for an empty one. An hour that clocks repeat is taken as one of the two. */
export const fromLocal = (local: number): number => local + offsetMs(local + offsetMs(local))

const offsetMs = (at: number): number => new Date(at).getTimezoneOffset() * MINUTE_MS
