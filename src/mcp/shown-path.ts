// Owns the form in which logs show a path: without session ids, for whoever knows one can speak in that session.

/** Longer paths are cut: a stranger's may have 64 KiB. */
export const MAX_SHOWN_LENGTH = 200
const MASKED = '{…}'
/**
 * Segments that name something. Any other one may be an id, however short it is and wherever it stands, as in
 * `/mcp/messages/ID` (Quarkus) or `/sessions/ID/messages`.
 */
const WORDS = new Set(
  (
    'api mcp mcps sse stream streams streamable streamable-http streamable_http http https rest rpc jsonrpc message messages ' +
    'event events session sessions server servers gateway gateways proxy tool tools agent agents project projects ' +
    'workspace workspaces tenant tenants public internal connect admin app apps v0 v1 v2 v3 v4 health healthz ready readyz ' +
    'metrics .well-known oauth-protected-resource oauth-authorization-server openid-configuration authorize token register'
  ).split(' ')
)

/** A path with everything masked that may be an id. `known`: segments, in lower case, that are shown too. */
export function maskedPath(path: string, known: ReadonlySet<string>): string {
  return path
    .slice(0, MAX_SHOWN_LENGTH)
    .split('/')
    .map(segment => {
      const word = segment.toLowerCase()
      return word === '' || WORDS.has(word) || known.has(word) ? segment : MASKED
    })
    .join('/')
    .slice(0, MAX_SHOWN_LENGTH)
}
