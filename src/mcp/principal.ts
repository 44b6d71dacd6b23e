// Owns what a principal is: on whose behalf a client sends its requests, in the form in which it is stored.
import { createHash } from 'node:crypto'
import { type StoredId, storedEndpointId } from './stored-ids.js'

/** From where a principal is known: a trusted proxy's header field, a JWT, or another credential. */
export type PrincipalKind = 'header' | 'oauth' | 'key'

/** On whose behalf a request was sent. It holds no secret. */
export interface Principal {
  kind: PrincipalKind
  /** As it is stored, up to 255 characters; of one that `isDigest` a digest, of which the store makes a keyed fingerprint. */
  name: string
  isDigest?: true
  /** The OAuth client (`client_id` or `azp`) that the token was issued to. */
  oauthClient?: StoredId
  /** Its name was erased, for all that was told of it up to `at`, in epoch ms; `token` stands in its place. */
  erased?: { token: string; at: number }
}

/**
 * The form in which a name that a stranger chose is stored and compared: printable Unicode as it is, with spaces inside; `sha256-`
 * and the hex digest for what is longer than 255 UTF-16 units, has a space at an end, or control characters.
 */
export const storedName = (raw: string): StoredId =>
  storedEndpointId(raw) ?? `sha256-${createHash('sha256').update(raw).digest('hex')}`

/** A principal of whom only a fingerprint is to be known. */
export const fingerprinted = (kind: PrincipalKind, secret: string): Principal => ({
  kind,
  name: createHash('sha256').update(`${kind}\n${secret}`).digest('base64url'),
  isDigest: true
})
