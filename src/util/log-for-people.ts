// Owns the form of a log line on a terminal: one that people read, in place of JSON, and with nothing that steers the terminal.
import { inspect } from 'node:util'
import { parseJson } from './json.js'

/** Levels as pino numbers them, with their colours. */
const LEVELS: Record<number, [name: string, color: 'gray' | 'green' | 'yellow' | 'red']> = {
  10: ['TRACE', 'gray'],
  20: ['DEBUG', 'gray'],
  30: ['INFO', 'green'],
  40: ['WARN', 'yellow'],
  50: ['ERROR', 'red'],
  60: ['FATAL', 'red']
}

/** What every line of a process has. */
const COMMON = new Set(['level', 'time', 'pid', 'hostname', 'msg', 'err'])
/** Characters that steer terminals or turn text round; line feeds are of the layout. */
const STEERING = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

/** A line of pino for a terminal; what is no such line stays as it is, but for what steers the terminal. */
export function lineForPeople(line: string, isColored: boolean): string {
  const entry = parseJson(line)
  if (typeof entry !== 'object' || entry === null || !('level' in entry)) return plain(line)
  const { level, time, msg, err, ...rest } = entry as Record<string, unknown>
  const [name, color] = LEVELS[Number(level)] ?? [String(level), 'gray']
  const [on, off] = inspect.colors[color]!
  const shown = isColored ? `\u001b[${on}m${name.padEnd(5)}\u001b[${off}m` : name.padEnd(5)
  const details = Object.entries(rest)
    .filter(([key]) => !COMMON.has(key))
    .map(
      ([key, value]) =>
        `  ${key}=${typeof value === 'string' && /^\S+$/.test(value) ? value : JSON.stringify(value)}`
    )
  const text = plain(`${typeof msg === 'string' ? msg : ''}${details.join('')}`)
  return `${clock(time)} ${shown} ${text}\n${stackOf(err)}`
}

const plain = (text: string): string => text.replace(STEERING, '\ufffd')

/** The time of day where the terminal is. */
function clock(time: unknown): string {
  const at = new Date(typeof time === 'number' ? time : Date.now())
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(11, 23)
}

/** Of an error: its stack, a line each, indented. */
function stackOf(err: unknown): string {
  if (typeof err !== 'object' || err === null) return ''
  const { stack, message } = err as Record<string, unknown>
  const text = typeof stack === 'string' ? stack : typeof message === 'string' ? message : JSON.stringify(err)
  return `${plain(text).replaceAll(/^/gm, '    ')}\n`
}
