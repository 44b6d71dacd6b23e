// Owns real JWTs, signed with a key of the tests.
import { createHmac } from 'node:crypto'

/** A signed token with these claims, or with this text in their place. */
export function jwt(claims: object | string): string {
  const encode = (text: string): string => Buffer.from(text).toString('base64url')
  const payload = typeof claims === 'string' ? claims : JSON.stringify(claims)
  const signed = `${encode('{"alg":"HS256","typ":"JWT"}')}.${encode(payload)}`
  return `${signed}.${createHmac('sha256', 'key of the tests').update(signed).digest('base64url')}`
}
