// Owns from where browsers may ask: no foreign web page (CSRF), and without a token only by a loopback name (DNS rebinding).
import type { IncomingHttpHeaders } from 'node:http'

const LOOPBACK_AUTHORITY = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i

/** What a browser says of the page from which it asks (Fetch Metadata, "Sec-Fetch-Site"): this port's own, or no page at all. */
const OWN_SITES = ['same-origin', 'none']

/** By which rules `foreignness` refuses. */
export interface OriginRules {
  /** Origins whose pages may ask. */
  allowed: readonly string[]
  /** No token is set, so only the `Host` shows that a request does not come from a foreign page (DNS rebinding). */
  onlyLoopback: boolean
  /** What is asked for holds no data, so a foreign page may link to it. */
  isPublic?: boolean
}

/** Why a request is refused, as a message for the caller; undefined where it is not refused. */
export function foreignness(
  { host, origin, 'sec-fetch-site': site }: Pick<IncomingHttpHeaders, 'host' | 'origin' | 'sec-fetch-site'>,
  options: OriginRules
): string | undefined {
  if (options.onlyLoopback && host !== undefined && !LOOPBACK_AUTHORITY.test(host))
    return 'without an admin token the admin port answers to loopback names only: use http://127.0.0.1, or set --admin-token'
  // Browsers leave `Origin` out where a page only links, or embeds an image or a script.
  if (origin === undefined)
    return site === undefined || OWN_SITES.includes(site) || options.isPublic
      ? undefined
      : 'web pages of other sites may not use the admin port: open it directly'
  if (options.allowed.includes(origin) || authorityOf(origin) === host) return undefined
  return 'web pages of this origin may not use the admin port: name the origin in --admin-allow-origin'
}

function authorityOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined
}
