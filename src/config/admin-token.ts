// Owns what a token of the admin port is and what it allows.

/** Each allows what those before it do. `read`: queries and live monitoring. `write`: what changes something. */
export const SCOPES = ['metrics', 'read', 'write'] as const

export type Scope = (typeof SCOPES)[number]

export interface Token {
  secret: string
  scope: Scope
}
