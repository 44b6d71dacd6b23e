// Owns how numbers, times and reasons read, in the language of the page and in the time zone that the reader chose.
import { language, texts } from './texts.js'

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

const formatsIn = (timeZone: string | undefined) => {
  const time = { hour: '2-digit', minute: '2-digit', timeZone, hourCycle: 'h23' } as const
  return {
    numbers: new Intl.NumberFormat(language),
    clocks: new Intl.DateTimeFormat(language, { ...time, second: '2-digit' }),
    minutes: new Intl.DateTimeFormat(language, time),
    days: new Intl.DateTimeFormat(language, { day: 'numeric', month: 'short', timeZone })
  }
}
let formats = formatsIn(undefined)

/** Speaks the language of the page, and tells times in this zone, from now on; undefined: in that of the browser. */
export function tellTimesIn(timeZone: string | undefined): void {
  formats = formatsIn(timeZone)
}

/** With commas between thousands. */
export const countText = (number: number): string => formats.numbers.format(number)

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
export const clockText = (at: number): string => withDay(at, formats.clocks)
/** `14:03`, with the day where it is not today's. */
export const minuteText = (at: number): string => withDay(at, formats.minutes)

/** `14:03`, or the day where one begins. */
export function minuteOrDayText(at: number): string {
  const time = formats.minutes.format(at)
  return time === '00:00' ? formats.days.format(at) : time
}

function withDay(at: number, format: Intl.DateTimeFormat): string {
  const time = format.format(at)
  const day = formats.days.format(at)
  return day === formats.days.format(Date.now()) ? time : `${day} ${time}`
}

/** Why a session ended, in words; a reason without words stays as it is. */
export const reasonText = (reason: string): string =>
  Object.hasOwn(texts.reasons, reason) ? texts.reasons[reason as keyof typeof texts.reasons] : reason
