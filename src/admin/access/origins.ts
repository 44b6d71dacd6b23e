// Owns from where browsers may ask: no foreign web page (CSRF), and without a token only by a loopback name (DNS rebinding).
import type { IncomingHttpHeaders } from 'node:http'

const LOOPBACK_AUTHORITY = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i

/**
 * Why a request is refused, as a message for the caller; undefined where it is not refused. `allowed`: origins whose pages may ask.
 * `onlyLoopback`: no token is set, so only the `Host` shows that a request does not come from a foreign page (DNS rebinding).
 */
export function foreignness(
  { host, origin }: Pick<IncomingHttpHeaders, 'host' | 'origin'>,
  options: { allowed: readonly string[]; onlyLoopback: boolean }
): string | undefined {
  if (options.onlyLoopback && host !== undefined && !LOOPBACK_AUTHORITY.test(host))
    return 'without an admin token the admin port answers to loopback names only: ask http://127.0.0.1, or set --admin-token'
  if (origin === undefined || options.allowed.includes(origin) || authorityOf(origin) === host)
    return undefined
  return 'web pages of this origin may not ask: name it in --admin-allow-origin'
}

function authorityOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined
}
