// Owns the two forms of an id that a stranger chose: as it came on the wire, and as it is stored and compared.
//
// The types are tags: a plain text fits each of them (a literal in a test, a column of a row), but an id of one form does
// not fit where the other one is wanted.
import { createHash } from 'node:crypto'

/** An endpoint or session id as it came: any text; a session id is a secret, for whoever holds it can speak in that session. */
export type WireId = string & { readonly form?: 'wire' }

/** An endpoint or session id in the form that the ledger holds, and that queries are asked with. */
export type StoredId = string & { readonly form?: 'stored' }

/** The width of the id columns (`schema.sql`). */
const MAX_STORED_LENGTH = 255
const VISIBLE_ASCII = /^[\x21-\x7e]+$/
/** What breaks lines, and what UTF-8 cannot hold. */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\p{Surrogate}]/u
/** Whether a text is one line of printable Unicode. */
export const isPrintable = (text: string): boolean => !UNPRINTABLE.test(text)

/** MySQL compares texts as if spaces at their end were not there (`PAD SPACE`). */
const OUTER_SPACE = /^ | $/

/**
 * The form in which a session id is stored and compared: up to 255 visible ASCII characters as they are, longer ones (JWTs)
 * as `sha256-` and the hex digest. Undefined for anything else: such an id is never stored. A stored id is its own stored
 * form.
 * MCP 2025-06-18, Streamable HTTP, "Session Management": a session id is visible ASCII, 0x21 to 0x7E, of any length.
 */
export function storedSessionId(raw: WireId | StoredId): StoredId | undefined {
  return VISIBLE_ASCII.test(raw) ? shortened(raw) : undefined
}

/**
 * The same of an endpoint id: printable Unicode as it is, with spaces inside; the digest for what is longer than 255 UTF-16
 * units or has a space at an end. Undefined for an empty one, and for control characters and line ends.
 */
export function storedEndpointId(raw: WireId | StoredId): StoredId | undefined {
  if (VISIBLE_ASCII.test(raw)) return shortened(raw)
  if (raw === '' || !isPrintable(raw)) return undefined
  return OUTER_SPACE.test(raw) ? digestOf(raw) : shortened(raw)
}

const shortened = (raw: string): StoredId => (raw.length <= MAX_STORED_LENGTH ? raw : digestOf(raw))

const digestOf = (raw: string): StoredId => `sha256-${createHash('sha256').update(raw).digest('hex')}`

/** Orders stored ids as both databases do, by code points; JavaScript's own order is by UTF-16 units. */
export function compareIds(a: StoredId, b: StoredId): number {
  const end = Math.min(a.length, b.length)
  for (let i = 0; i < end; i++) {
    const [unitOfA, unitOfB] = [a.charCodeAt(i), b.charCodeAt(i)]
    if (unitOfA !== unitOfB) return rankOf(unitOfA) - rankOf(unitOfB)
  }
  return a.length - b.length
}

/** Surrogates stand for code points above all others. */
const rankOf = (unit: number): number => (unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit)

/** Whether a stored id is a digest, from which the id on the wire cannot be found. */
export const isDigest = (id: WireId | StoredId): boolean => /^sha256-[0-9a-f]{64}$/.test(id)

/** The endpoint at which those are counted whose own one finds no room; clients may have one of this name too. */
export const OTHER_ENDPOINT: StoredId = 'other'

/** A session by its stored ids: the pair that the ledger, the tracker and the admin port know it by. */
export interface SessionIds {
  endpointId: StoredId
  sessionId: StoredId
}

/** The key of a session in a Map. Stored ids hold no line ends. */
export const sessionKey = ({ endpointId, sessionId }: Readonly<SessionIds>): string =>
  `${endpointId}\n${sessionId}`
