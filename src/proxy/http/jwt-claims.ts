// Owns reading the claims of a JWT (RFC 7519), without verifying it: whether it is good is the upstream's to say.
import { parseJson } from '../../util/json.js'

/** Longer tokens are not read. Chosen: far more than identity providers issue; to decode so much takes about 50 µs. */
const MAX_TOKEN_CHARACTERS = 16 * 1024
/** Three parts in base64url (RFC 7515 §7.1); the signature may be empty, the padding is optional for who writes it. */
const COMPACT = /^[\w-]+={0,2}\.([\w-]+)={0,2}\.[\w-]*={0,2}$/

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** The claims of a token that a stranger sent; undefined for what is no JWT that can be read. */
export function jwtClaims(token: string): object | undefined {
  if (token.length > MAX_TOKEN_CHARACTERS) return undefined
  const [, payload] = COMPACT.exec(token) ?? []
  if (payload === undefined) return undefined
  let text: string
  try {
    text = utf8.decode(Buffer.from(payload, 'base64url'))
  } catch {
    return undefined
  }
  const claims = parseJson(text)
  return typeof claims === 'object' && claims !== null && !Array.isArray(claims) ? claims : undefined
}

/** A claim as text; undefined where the token does not have it, or as something else than a text or a whole number. */
export function claimIn(claims: object, name: string): string | undefined {
  if (!Object.hasOwn(claims, name)) return undefined
  const value = (claims as Record<string, unknown>)[name]
  if (typeof value === 'string') return value || undefined
  return Number.isSafeInteger(value) ? String(value) : undefined
}
