// Owns how an id that a stranger chose is stored.
import { createHash } from 'node:crypto'

const MAX_STORED_LENGTH = 255
const VISIBLE_ASCII = /^[\x21-\x7e]+$/

/**
 * The form in which an endpoint or session id is stored and compared: up to 255 visible ASCII characters as they
 * are, longer ones (JWTs) as `sha256-` and the hex digest. Undefined for anything else: such an id is never stored.
 * MCP 2025-06-18, Streamable HTTP, "Session Management": a session id is visible ASCII, 0x21 to 0x7E, of any length.
 */
export function storedId(raw: string): string | undefined {
  if (!VISIBLE_ASCII.test(raw)) return undefined
  if (raw.length <= MAX_STORED_LENGTH) return raw
  return `sha256-${createHash('sha256').update(raw).digest('hex')}`
}

/** Whether a stored id is a digest, from which nobody can tell the id. */
export const isDigest = (stored: string): boolean => /^sha256-[0-9a-f]{64}$/.test(stored)
