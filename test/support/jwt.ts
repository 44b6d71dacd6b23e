// Owns real JWTs, signed with a key of the tests.
import { createHmac } from 'node:crypto'

/** Long enough for HMAC-SHA-256 (RFC 7518 §3.2). */
export const JWT_KEY = 'the key with which the tests sign their tokens'

/** A signed token with these claims, or with this text in their place. */
export function jwt(claims: object | string): string {
  const encode = (text: string): string => Buffer.from(text).toString('base64url')
  const payload = typeof claims === 'string' ? claims : JSON.stringify(claims)
  const signed = `${encode('{"alg":"HS256","typ":"JWT"}')}.${encode(payload)}`
  return `${signed}.${createHmac('sha256', JWT_KEY).update(signed).digest('base64url')}`
}
