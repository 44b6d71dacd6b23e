// Owns how values look on a terminal: texts of strangers without control characters, lengths of time, colours.
import { inspect } from 'node:util'
import stringWidth from 'string-width'

/** Control characters (of terminals: CSI and so on), formats (of text that runs the other way), separators of lines, and no characters. */
const UNSHOWN = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu
/** The same but for the line feed, in JSON, where spaces and line feeds are of the layout. */
const UNSHOWN_IN_JSON = /(?!\n)[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}]/gu

/** A text of anyone, so that no terminal takes a part of it for a command. */
export const shown = (text: string): string => text.replace(UNSHOWN, '\ufffd')

/** JSON in which the same is escaped. */
export const shownJson = (value: unknown): string =>
  JSON.stringify(value).replace(UNSHOWN_IN_JSON, character =>
    Array.from(
      { length: character.length },
      (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`
    ).join('')
  )

/** What `styled` knows. */
export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan' | 'inverse'

/** A text in a style, for a terminal that has colours. */
export function styled(text: string, style: Style): string {
  const [on, off] = inspect.colors[style]!
  return `\u001b[${on}m${text}\u001b[${off}m`
}

/** How many columns of a terminal a text takes. */
export const widthOf = (text: string): number =>
  /^[\x20-\x7e]*$/.test(text) ? text.length : stringWidth(text)

const segmenter = new Intl.Segmenter()

/** A text of at most `width` columns; where it is longer, an ellipsis stands for its end, or for its beginning. */
export function cut(text: string, width: number, part: 'end' | 'beginning' = 'end'): string {
  if (widthOf(text) <= width) return text
  const segments = Array.from(segmenter.segment(text), ({ segment }) => segment)
  if (part === 'beginning') segments.reverse()
  const kept: string[] = []
  let used = 1
  for (const segment of segments) {
    used += widthOf(segment)
    if (used > width) break
    kept.push(segment)
  }
  return part === 'end' ? `${kept.join('')}…` : `…${kept.reverse().join('')}`
}

const UNITS: [letter: string, ms: number][] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000]
]

/** A length of time in its two largest units, such as `3m12s`. */
export function shownDuration(ms: number): string {
  const first = UNITS.findIndex(([, unit]) => ms >= unit)
  if (first === -1) return '0s'
  const [[letter, unit], next] = [UNITS[first]!, UNITS[first + 1]]
  const rest = next ? Math.trunc((ms % unit) / next[1]) : 0
  return `${Math.trunc(ms / unit)}${letter}${rest > 0 ? `${rest}${next![0]}` : ''}`
}
