// Owns what a token of the admin port is and what it allows.

/** Each allows what those before it do. `read`: queries and live monitoring. `write`: what changes something. */
export const SCOPES = ['metrics', 'read', 'write'] as const

/** What a token allows. */
export type Scope = (typeof SCOPES)[number]

/** Shorter tokens can be guessed. NIST SP 800-63B §5.1.1.2 asks for 8 of a password; chosen: twice that, as a token costs no memory. */
export const MIN_GOOD_LENGTH = 16

/** A bearer token. `secret` must be in no log and no response. */
export interface Token {
  secret: string
  scope: Scope
}
