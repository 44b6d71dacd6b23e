// Owns the two forms of an id that a stranger chose: as it came on the wire, and as it is stored and compared.
//
// The types are tags: a plain text fits each of them (a literal in a test, a column of a row), but an id of one form does
// not fit where the other one is wanted.
import { createHash } from 'node:crypto'

/** An endpoint or session id as it came: any text; a session id is a secret, for whoever holds it can speak in that session. */
export type WireId = string & { readonly form?: 'wire' }

/** An endpoint or session id as `storedId` makes it: what the ledger holds, and what queries are asked with. */
export type StoredId = string & { readonly form?: 'stored' }

/** The width of the id columns (`schema.sql`). */
const MAX_STORED_LENGTH = 255
const VISIBLE_ASCII = /^[\x21-\x7e]+$/

/**
 * The form in which an endpoint or session id is stored and compared: up to 255 visible ASCII characters as they
 * are, longer ones (JWTs) as `sha256-` and the hex digest. Undefined for anything else: such an id is never stored. A
 * stored id is its own stored form.
 * MCP 2025-06-18, Streamable HTTP, "Session Management": a session id is visible ASCII, 0x21 to 0x7E, of any length.
 */
export function storedId(raw: WireId | StoredId): StoredId | undefined {
  if (!VISIBLE_ASCII.test(raw)) return undefined
  if (raw.length <= MAX_STORED_LENGTH) return raw as string
  return `sha256-${createHash('sha256').update(raw).digest('hex')}`
}

/** Whether an id is a digest that `storedId` made, from which the id on the wire cannot be found. */
export const isDigest = (id: WireId | StoredId): boolean => /^sha256-[0-9a-f]{64}$/.test(id)

/** A session by its stored ids: the pair that the ledger, the tracker and the admin port know it by. */
export interface SessionIds {
  endpointId: StoredId
  sessionId: StoredId
}

/** The key of a session in a Map. Stored ids hold no spaces. */
export const sessionKey = ({ endpointId, sessionId }: Readonly<SessionIds>): string =>
  `${endpointId} ${sessionId}`
