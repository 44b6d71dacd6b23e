// Owns how numbers, times and reasons read, in the language of the page and in the time zone that the reader chose.
import { DAY_MS, HOUR_MS } from './range.js'
import { language, texts } from './texts.js'

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS

const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB']

const formatsIn = (timeZone: string | undefined) => {
  const time = { hour: '2-digit', minute: '2-digit', timeZone, hourCycle: 'h23' } as const
  const day = { day: 'numeric', month: 'short' } as const
  return {
    numbers: new Intl.NumberFormat(language),
    shares: new Intl.NumberFormat(language, { style: 'percent', maximumSignificantDigits: 2 }),
    sizes: new Intl.NumberFormat(language, { maximumFractionDigits: 1 }),
    clocks: new Intl.DateTimeFormat(language, { ...time, second: '2-digit' }),
    minutes: new Intl.DateTimeFormat(language, time),
    days: new Intl.DateTimeFormat(language, { ...day, timeZone }),
    utcDays: new Intl.DateTimeFormat(language, { ...day, timeZone: 'UTC' })
  }
}
let formats = formatsIn(undefined)

/** Speaks the language of the page, and tells times in this zone, from now on; undefined: in that of the browser. */
export function tellTimesIn(timeZone: string | undefined): void {
  formats = formatsIn(timeZone)
}

/** With commas between thousands. */
export const countText = (number: number): string => formats.numbers.format(number)

/** Bytes in the largest unit that leaves a digit before the point: `812 B`, `1.5 kB`, `34.2 MB`. */
export function bytesText(bytes: number): string {
  const thousands = Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3))
  const index = Math.min(thousands, BYTE_UNITS.length - 1)
  return `${formats.sizes.format(bytes / 1_000 ** index)} ${BYTE_UNITS[index]!}`
}

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

/** How long a call took: `0 ms`, `340 ms`, `1.2 s`; from a minute on as `durationText`. */
export function latencyText(ms: number): string {
  if (ms < SECOND_MS) return `${Math.round(ms)} ${texts.units.ms}`
  return ms < MINUTE_MS ? `${formats.sizes.format(ms / SECOND_MS)} ${texts.units.second}` : durationText(ms)
}

/** `19%`; a part of less than one in a hundred too. */
export const shareText = (part: number): string => formats.shares.format(part)

const padded = (number: number): string => String(Math.floor(number)).padStart(2, '0')

/** `14:03:22`, with the day where it is not today's. */
export const clockText = (at: number): string => withDay(at, formats.clocks)
/** `14:03`, with the day where it is not today's. */
export const minuteText = (at: number): string => withDay(at, formats.minutes)

/** `14:03`, or the day where one begins. */
export function minuteOrDayText(at: number): string {
  const time = formats.minutes.format(at)
  return time === '00:00' ? formats.days.format(at) : time
}

/** The day in UTC, whatever the zone of the page. */
export const utcDayText = (at: number): string => formats.utcDays.format(at)

function withDay(at: number, format: Intl.DateTimeFormat): string {
  const time = format.format(at)
  const day = formats.days.format(at)
  return day === formats.days.format(Date.now()) ? time : `${day} ${time}`
}

/** Why a session ended, in words; a reason without words stays as it is. */
export const reasonText = (reason: string): string =>
  Object.hasOwn(texts.reasons, reason) ? texts.reasons[reason as keyof typeof texts.reasons] : reason
