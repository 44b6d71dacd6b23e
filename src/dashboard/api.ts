// Owns asking the admin port: the token, errors and pages. What it responds is typed by the schemas of the admin port.
import type { Readiness } from '../admin/schemas/readiness.js'
import type { Page, PageReader, QueryParameters } from './page-reader.js'
import { texts } from './texts.js'

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

/** How long a response may take unless the caller says. Chosen: above what the largest query takes. */
const TIMEOUT_MS = 20_000

/**
 * The admin port. All methods reject with `ApiError`, with a `TypeError` when it cannot be
 * reached, or with a `DOMException` named `TimeoutError` when it does not respond in time.
 */
export class Api implements PageReader {
  readonly #onUnauthorized: (error: ApiError) => void
  token: string | undefined

  constructor(onUnauthorized: (error: ApiError) => void) {
    this.#onUnauthorized = onUnauthorized
  }

  /** The JSON of a response. */
  async get<Body>(path: string, parameters: QueryParameters = {}, timeoutMs = TIMEOUT_MS): Promise<Body> {
    return (await this.page<Body>(path, parameters, timeoutMs)).body
  }

  /** The JSON of a page of a list, and the path of the next page. `path` may be such a path. */
  async page<Body>(
    path: string,
    parameters: QueryParameters = {},
    timeoutMs = TIMEOUT_MS
  ): Promise<Page<Body>> {
    const response = await this.#ask('GET', path, parameters, { timeoutMs })
    const next = /^<(.*)>; rel="next"$/.exec(response.headers.get('link') ?? '')?.[1]
    return { body: (await response.json()) as Body, next }
  }

  /** Sends an action to `path`; resolves with the JSON of the response. May take as long as the action does. */
  async send<Body>(method: 'PUT' | 'DELETE', path: string, parameters: QueryParameters = {}): Promise<Body> {
    return (await (await this.#ask(method, path, parameters)).json()) as Body
  }

  /** A list as a file of CSV, without a limit of size. May take as long as the list is long. */
  async csv(path: string, parameters: QueryParameters): Promise<Blob> {
    return await (await this.#ask('GET', path, parameters, { accept: 'text/csv' })).blob()
  }

  /** The result of `/readyz`, with status 200 or 503. */
  async readiness(): Promise<Readiness> {
    return (await (await fetch('/readyz', { signal: AbortSignal.timeout(TIMEOUT_MS) })).json()) as Readiness
  }

  async #ask(
    method: string,
    path: string,
    parameters: QueryParameters,
    { timeoutMs, accept }: { timeoutMs?: number; accept?: string } = {}
  ): Promise<Response> {
    const url = new URL(path, location.origin)
    for (const [name, value] of Object.entries(parameters))
      if (value !== undefined) url.searchParams.set(name, String(value))
    const headers = {
      ...(this.token !== undefined && { authorization: `Bearer ${this.token}` }),
      ...(accept !== undefined && { accept })
    }
    const signal = timeoutMs === undefined ? null : AbortSignal.timeout(timeoutMs)
    const response = await fetch(url, { method, headers, signal })
    if (response.ok) return response
    const body = (await response.json().catch(() => ({}))) as { message?: string; error?: string }
    const error = new ApiError(
      response.status,
      body.message ?? body.error ?? texts.answersStatus(response.status)
    )
    if (response.status === 401 || response.status === 429) this.#onUnauthorized(error)
    throw error
  }
}
