// Owns which web pages may read the proxy's own responses: those that may read the upstream's (WHATWG Fetch, "CORS protocol").
import type { IncomingMessage } from 'node:http'
import type { ResponseHeaders } from './header-section.js'

/** So many origins are remembered; beyond that the first is forgotten. Chosen: more than the clients in browsers there are. */
const MAX_ORIGINS = 100
/** The longest of each text that is remembered. Chosen: a browser's origin is at most some 260 characters long. */
const MAX_LENGTH = 1024

/** What goes with `Access-Control-Allow-Origin`. */
const permissions = ['Access-Control-Allow-Credentials', 'Access-Control-Expose-Headers']

/**
 * Remembers what the upstream's responses allowed to which origins. Without those fields a browser tells a page of a
 * `502` only that the request failed.
 */
export class UpstreamCors {
  /** The fields by origin: name, value, name, value. */
  readonly #fields = new Map<string, readonly string[]>()

  /** The upstream gave a response with `headers` to `req`. */
  note({ method, headers: { origin } }: IncomingMessage, headers: ResponseHeaders): void {
    const allowed = headers['access-control-allow-origin']
    if (allowed === undefined || origin === undefined || (allowed !== '*' && allowed !== origin)) return
    const known = this.#fields.get(allowed)
    // A preflight does not say which fields a page may read.
    if (known !== undefined && method === 'OPTIONS') return
    const fields = ['Access-Control-Allow-Origin', allowed]
    for (const name of permissions) {
      const value = headers[name.toLowerCase()]
      if (value !== undefined) fields.push(name, value)
    }
    if (allowed !== '*') fields.push('Vary', 'Origin')
    if (fields.length === known?.length && fields.every((text, i) => text === known[i])) return
    if (fields.some(text => text.length > MAX_LENGTH)) return
    this.#fields.set(allowed, fields)
    if (this.#fields.size > MAX_ORIGINS) this.#fields.delete(this.#fields.keys().next().value!)
  }

  /** The fields for a response of the proxy to `req`; none where nothing is known. */
  fieldsFor({ headers: { origin } }: IncomingMessage): readonly string[] {
    return origin === undefined ? [] : (this.#fields.get(origin) ?? this.#fields.get('*') ?? [])
  }
}
