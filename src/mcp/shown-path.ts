// Owns the form in which logs show a path: without session ids, for whoever knows one can speak in that session; and the pattern
// that would stand for such a path.
import { canonicalPath } from './path-patterns.js'

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

/** A word as people name things. It may be a session's id all the same, where there is a session. Chosen. */
const PLAIN_WORD = /^[a-z]{1,20}([-_][a-z]{1,20}){0,3}$/

/**
 * The pattern that stands for a path, with a place for the segments that may be an id or a secret; undefined for a path that is
 * no UTF-8, and where no segment is left.
 * @param mayHoldSession The path may name a session: then words that are not known are no words.
 */
export function patternFor(path: string, mayHoldSession: boolean): string | undefined {
  const segments = canonicalPath(path)?.split('/').slice(1)
  if (segments === undefined || path.length > MAX_SHOWN_LENGTH) return undefined
  const isHidden = (segment: string): boolean =>
    segment !== '' && !WORDS.has(segment.toLowerCase()) && (mayHoldSession || !PLAIN_WORD.test(segment))
  const first = segments.findIndex(isHidden)
  if (first === -1) return `/${segments.join('/')}`
  const hidden = segments.findLastIndex(isHidden) + 1 - first
  if (hidden === segments.length && hidden > 1) return undefined
  return `/${segments.toSpliced(first, hidden, hidden === 1 ? '{endpoint_id}' : '{path+}').join('/')}`
}
