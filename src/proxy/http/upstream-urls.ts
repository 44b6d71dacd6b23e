// Owns the way back of URLs that the upstream writes: a client that follows them comes through the proxy again. Other proxies
// call it `proxy_redirect` (nginx) or `ProxyPassReverse` (Apache).
//
// The other way would be to send requests for `/base/…` upstream without a second `/base`. That takes paths away from
// upstreams that have `/base/base/…`, and accounts one endpoint under two paths.
import type { RoutedRequest } from './routed-request.js'

/** The fields of a response that hold one URL (RFC 9110 §8.7, §10.2.2). */
const urlFields = new Set(['location', 'content-location'])

/** A URL with an authority, and perhaps without a scheme. */
const absolute = /^((?:https?:)?\/\/([^/?#\\]+))(.*)$/i

/** A path that parsers of URLs would take for an authority (WHATWG URL: `\` is `/`, tabs and line ends are removed). */
const ambiguousPath = /^\/[\t\r\n]*[/\\]/

/** Finds what the upstream's URLs are on this side of the proxy. */
export class UpstreamUrls {
  readonly #upstream: URL
  readonly #basePath: string

  /** `basePath`: as `basePathOf` gives it. */
  constructor(upstream: URL, basePath: string) {
    this.#upstream = upstream
    this.#basePath = basePath
  }

  /** Replaces those among the fields of a response: name, value, name, value. */
  replaceIn(fields: string[], request: RoutedRequest): void {
    for (let i = 0; i < fields.length; i += 2)
      if (urlFields.has(fields[i]!.toLowerCase())) fields[i + 1] = this.replace(fields[i + 1]!, request)
  }

  /**
   * A URL of the response to `request`. Below the upstream's base path it loses that. With the upstream's own authority it becomes
   * a path, which leads to whatever the client calls the proxy. A relative one, or one that leads elsewhere, stays as it is.
   */
  replace(url: string, request: RoutedRequest): string {
    if (url.startsWith('/') && !ambiguousPath.test(url)) return this.#path(url) ?? url
    const [, origin, authority, rest] = absolute.exec(url) ?? []
    if (origin === undefined || authority === undefined) return url
    const path = this.#path(rest!.startsWith('/') ? rest! : `/${rest!}`)
    if (path === undefined) return url
    if (this.#isUpstream(authority)) return path
    return this.#basePath !== '' && isClients(authority, request) ? origin + path : url
  }

  /** The path below the base path; undefined for one that is not below it. */
  #path(path: string): string | undefined {
    const base = this.#basePath
    if (!path.startsWith(base) || !/^(?:[/?#]|$)/.test(path.slice(base.length))) return undefined
    const below = path.slice(base.length)
    if (!below.startsWith('/')) return `/${below}`
    return ambiguousPath.test(below) ? `/.${below}` : below
  }

  #isUpstream(authority: string): boolean {
    const { protocol, host } = this.#upstream
    return URL.canParse(`${protocol}//${authority}`) && new URL(`${protocol}//${authority}`).host === host
  }
}

/** Whether the client, or a proxy in front of this one, called this one so: the upstream was told both names. */
function isClients(authority: string, { req, target }: RoutedRequest): boolean {
  const names = [target.authority ?? req.headers.host, req.headers['x-forwarded-host']]
  return names.some(name => String(name).toLowerCase() === authority.toLowerCase())
}
