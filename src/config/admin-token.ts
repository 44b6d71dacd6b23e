// Owns what a token of the admin port is and what it allows.

/** Each allows what those before it do. `read`: queries and live monitoring. `write`: what changes something. */
export const SCOPES = ['metrics', 'read', 'write'] as const

/** What a token allows. */
export type Scope = (typeof SCOPES)[number]

/** A bearer token. `secret` must be in no log and no response. */
export interface Token {
  secret: string
  scope: Scope
}
