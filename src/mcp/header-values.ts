// Owns how MCP writes any text as a header field (MCP 2026-07-28, SEP-2243): as it is, or as `=?base64?…?=`.

const ENCODED = /^=\?base64\?([A-Za-z0-9+/]*={0,2})\?=$/
/** What a field can hold as it is: visible ASCII, with spaces inside. */
const PLAIN = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/

/** The text that a field stands for. */
export function decodedValue(value: string): string {
  const base64 = ENCODED.exec(value)?.[1]
  return base64 === undefined ? value : Buffer.from(base64, 'base64').toString('utf8')
}

/** A text as a field can hold it. */
export const encodedValue = (text: string): string =>
  PLAIN.test(text) && !ENCODED.test(text) ? text : `=?base64?${Buffer.from(text).toString('base64')}?=`
