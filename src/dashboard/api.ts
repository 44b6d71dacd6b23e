// Owns asking the admin port: the token, errors and pages. What it responds is typed by the schemas of the admin port.
import type { Readiness } from '../admin/schemas/readiness.js'
import type { Page, PageReader, QueryParameters } from './page-reader.js'

/**
 * The admin port refused or failed. Its own message says what to do; `status` is that of the response. No `TurnstileError`,
 * because browsers load no room but this one.
 */
export class ApiError extends Error {
  readonly code = 'REFUSED'

  constructor(
    readonly status: number,
    message: string
  ) {
    super(message)
  }
}

/** The admin port. All methods reject with `ApiError`, or with a `TypeError` when it cannot be reached. */
export class Api implements PageReader {
  readonly #onUnauthorized: (error: ApiError) => void
  token: string | undefined

  constructor(onUnauthorized: (error: ApiError) => void) {
    this.#onUnauthorized = onUnauthorized
  }

  /** The JSON of a response. */
  async get<Body>(path: string, parameters: QueryParameters = {}): Promise<Body> {
    return (await this.page<Body>(path, parameters)).body
  }

  /** The JSON of a page of a list, and the path of the next page. `path` may be such a path. */
  async page<Body>(path: string, parameters: QueryParameters = {}): Promise<Page<Body>> {
    const response = await this.#ask('GET', path, parameters)
    const next = /^<(.*)>; rel="next"$/.exec(response.headers.get('link') ?? '')?.[1]
    return { body: (await response.json()) as Body, next }
  }

  /** Sends an action to `path`. */
  async send(method: 'PUT' | 'DELETE', path: string, parameters: QueryParameters = {}): Promise<void> {
    await this.#ask(method, path, parameters)
  }

  /** The result of `/readyz`, with status 200 or 503. */
  async readiness(): Promise<Readiness> {
    return (await (await fetch('/readyz')).json()) as Readiness
  }

  async #ask(method: string, path: string, parameters: QueryParameters): Promise<Response> {
    const url = new URL(path, location.origin)
    for (const [name, value] of Object.entries(parameters))
      if (value !== undefined) url.searchParams.set(name, String(value))
    const headers: HeadersInit = this.token === undefined ? {} : { authorization: `Bearer ${this.token}` }
    const response = await fetch(url, { method, headers })
    if (response.ok) return response
    const body = (await response.json().catch(() => ({}))) as { message?: string; error?: string }
    const error = new ApiError(response.status, body.message ?? body.error ?? `it answers ${response.status}`)
    if (response.status === 401 || response.status === 429) this.#onUnauthorized(error)
    throw error
  }
}
