// Owns how numbers, times and reasons read.
import { texts } from './texts.js'

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

const numbers = new Intl.NumberFormat('en')
const clocks = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const minutes = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' })
const days = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' })

/** With commas between thousands. */
export const countText = (number: number): string => numbers.format(number)

/** The two largest units: `4 s`, `3 m 20 s`, `5 h 02 m`, `12 d 4 h`. */
export function durationText(ms: number): string {
  const whole = Math.max(0, ms)
  const { second, minute, hour, day } = texts.units
  if (whole < MINUTE_MS) return `${Math.floor(whole / SECOND_MS)} ${second}`
  if (whole < HOUR_MS)
    return `${Math.floor(whole / MINUTE_MS)} ${minute} ${padded((whole % MINUTE_MS) / SECOND_MS)} ${second}`
  if (whole < DAY_MS)
    return `${Math.floor(whole / HOUR_MS)} ${hour} ${padded((whole % HOUR_MS) / MINUTE_MS)} ${minute}`
  return `${Math.floor(whole / DAY_MS)} ${day} ${Math.floor((whole % DAY_MS) / HOUR_MS)} ${hour}`
}

const padded = (number: number): string => String(Math.floor(number)).padStart(2, '0')

/** `14:03:22`, with the day where it is not today's. */
export const clockText = (at: number): string => withDay(at, clocks)
/** `14:03`, with the day where it is not today's. */
export const minuteText = (at: number): string => withDay(at, minutes)

/** `14:03`, or the day where one begins. */
export function minuteOrDayText(at: number): string {
  const time = minutes.format(at)
  return time === '00:00' ? days.format(at) : time
}

function withDay(at: number, format: Intl.DateTimeFormat): string {
  const time = format.format(at)
  const day = days.format(at)
  return day === days.format(Date.now()) ? time : `${day} ${time}`
}

/** Why a session ended, in words; a reason without words stays as it is. */
export const reasonText = (reason: string): string =>
  Object.hasOwn(texts.reasons, reason) ? texts.reasons[reason as keyof typeof texts.reasons] : reason
