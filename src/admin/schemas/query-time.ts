// Owns instants in queries: how their text is read, and the range that two of them make.
import { type EpochMs, MINUTE_MS, SECOND_MS } from '../../util/time.js'
import { BadQueryError } from './admin-errors.js'

/** The instants that DATETIME of MySQL holds: 1000-01-01 to 9999-12-31 (MySQL 8.0 Reference Manual, 11.2.2). */
const EARLIEST: EpochMs = Date.UTC(1000, 0, 1)
const LATEST: EpochMs = Date.UTC(9999, 11, 31, 23, 59, 59, 999)

/** What `parseTime` takes, in words. */
export const TIME_EXPECTED =
  'an existing time from the year 1000 to 9999, as 2026-01-31T09:30:00Z (RFC 3339), 2026-01-31 09:30:00 (UTC), epoch seconds (at most 11 digits) or epoch milliseconds'

/** Whether MySQL can hold an instant. */
export const isStorable = (at: EpochMs): boolean => at >= EARLIEST && at <= LATEST

const TIME =
  /^(?<day>\d{4}-\d\d-\d\d)[Tt ](?<clock>\d\d:\d\d:\d\d)(?:\.(?<fraction>\d+))?(?:[Zz]|(?<sign>[-+ ])(?<hours>\d\d):(?<minutes>\d\d))?$/

/**
 * Reads RFC 3339, `YYYY-MM-DD HH:MM:SS[.mmm]` (UTC), epoch milliseconds or epoch seconds into epoch milliseconds; undefined for
 * anything else, for instants that do not exist (30 February, hour 24, leap seconds) and for those MySQL cannot hold.
 * Digits beyond the millisecond are cut off. A space before an offset is a `+` that was not percent-encoded.
 */
export function parseTime(text: string): EpochMs | undefined {
  const at = /^-?\d{1,15}$/.test(text) ? parseEpoch(Number(text)) : parseDate(text)
  return at !== undefined && isStorable(at) ? at : undefined
}

/**
 * Below this a number is taken for seconds, which reach to the year 5138. As milliseconds it would be from 1966 to 1973, when
 * there were no sessions.
 */
const MIN_EPOCH_MS = 1e11

const parseEpoch = (number: number): EpochMs =>
  Math.abs(number) < MIN_EPOCH_MS ? number * SECOND_MS : number

function parseDate(text: string): EpochMs | undefined {
  const { day, clock, fraction = '', sign, hours, minutes } = TIME.exec(text)?.groups ?? {}
  if (day === undefined || clock === undefined) return undefined
  const written = `${day}T${clock}.${fraction.slice(0, 3).padEnd(3, '0')}Z`
  const local = new Date(written)
  // Date takes 30 February for 1 March, and 24:00 for the next day.
  if (Number.isNaN(local.getTime()) || local.toISOString() !== written) return undefined
  if (Number(hours ?? 0) > 23 || Number(minutes ?? 0) > 59) return undefined
  const offsetMs = (Number(hours ?? 0) * 60 + Number(minutes ?? 0)) * MINUTE_MS
  return local.getTime() - (sign === '-' ? -offsetMs : offsetMs)
}

/** Both ends included. */
export interface TimeRange {
  start: EpochMs
  end: EpochMs
}

/** The range asked for; it ends `now` and spans `defaultSpanMs` where that is left open. Throws `BadQueryError` when it is reversed. */
export function timeRange(
  asked: { start_time?: EpochMs; end_time?: EpochMs },
  now: EpochMs,
  defaultSpanMs: number
): TimeRange {
  const end = asked.end_time ?? now
  const start = asked.start_time ?? Math.max(end - defaultSpanMs, EARLIEST)
  if (start <= end) return { start, end }
  throw new BadQueryError(
    asked.end_time === undefined
      ? 'start_time is in the future: give an end_time after it, or an earlier start_time'
      : 'start_time is after end_time: swap them'
  )
}
