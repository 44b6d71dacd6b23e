// Owns asking the admin port over HTTP: tokens, pages, and what its failures mean.
import type { Token } from '../config/admin-token.js'
import { reasonOf, TurnstileError } from '../util/errors.js'
import { memberOf, parseJson } from '../util/json.js'

/** How long a question may take. Chosen: ending thousands of sessions takes longer than any list. */
const TIMEOUT_MS = 120_000

/** The admin port did not do what was asked; without a status it did not respond. */
export class AdminApiError extends TurnstileError {
  readonly code = 'ADMIN_API'
  readonly status: number | undefined

  constructor(message: string, status?: number, options?: ErrorOptions) {
    super(message, options)
    this.status = status
  }
}

/** Parameters of a query; those that are undefined are left out. */
export type Query = Record<string, string | number | undefined>

/** The admin port at a URL. All methods throw `AdminApiError`. */
export class AdminApi {
  readonly #url: URL
  readonly #token: Token | undefined
  readonly #fetch: typeof fetch

  /** Of several tokens, one that may do the most is shown. `fetcher`: what sends the requests. */
  constructor(url: URL, tokens: readonly Token[], fetcher: typeof fetch = fetch) {
    this.#url = url
    this.#fetch = fetcher
    this.#token = (['write', 'read', 'metrics'] as const)
      .map(scope => tokens.find(token => token.scope === scope))
      .find(token => token !== undefined)
  }

  /** The JSON of a response. `accepted`: statuses other than 2xx that are answers too. */
  async ask<T>(
    path: string,
    query: Query = {},
    {
      method = 'GET',
      accepted = [],
      signal
    }: { method?: string; accepted?: number[]; signal?: AbortSignal } = {}
  ): Promise<T> {
    return (await this.#send(path, query, method, accepted, signal)).body as T
  }

  /** All items of a list that comes in pages, at most `limit`; `itemsIn` finds them in a page. */
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the caller says what a page is
  async *pages<Page, Item>(
    path: string,
    query: Query,
    limit: number,
    itemsIn: (page: Page) => readonly Item[]
  ): AsyncGenerator<Item[]> {
    let left = limit
    let asked: Query | undefined = query
    while (asked !== undefined && left > 0) {
      const page = await this.#send(path, { ...asked, limit: Math.min(left, PAGE_ROWS) }, 'GET', [])
      const items = [...itemsIn(page.body as Page)]
      left -= items.length
      if (items.length > 0) yield items
      asked = page.next && Object.fromEntries(page.next)
    }
  }

  async #send(
    path: string,
    query: Query,
    method: string,
    accepted: readonly number[],
    signal?: AbortSignal
  ): Promise<{ body: unknown; next: URLSearchParams | undefined }> {
    const url = new URL(this.#url.pathname.replace(/\/$/, '') + path, this.#url)
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) url.searchParams.set(name, String(value))
    const timeout = AbortSignal.timeout(TIMEOUT_MS)
    let response: Response
    let text: string
    try {
      response = await this.#fetch(url, {
        method,
        redirect: 'manual',
        headers: {
          accept: 'application/json',
          ...(this.#token && { authorization: `Bearer ${this.#token.secret}` })
        },
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout
      })
      text = await response.text()
    } catch (error) {
      signal?.throwIfAborted()
      const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
      throw new AdminApiError(
        `the admin port at ${this.#url.origin} does not respond: ${reasonOf(cause)}`,
        undefined,
        {
          cause
        }
      )
    }
    const body = parseJson(text)
    if (body === undefined)
      throw new AdminApiError(`there is no admin port at ${this.#url.origin}: it sends no JSON`)
    if (!response.ok && !accepted.includes(response.status))
      throw new AdminApiError(this.#refusal(response.status, body), response.status)
    return { body, next: nextIn(response.headers.get('link')) }
  }

  #refusal(status: number, body: unknown): string {
    const said = memberOf(body, 'message') ?? memberOf(body, 'error')
    const message = typeof said === 'string' ? said : `it responds ${status}`
    if (status === 401)
      return `the admin port at ${this.#url.origin} wants a token: give --token-file, or set TURNSTILE_ADMIN_TOKEN`
    if (status === 403 && this.#token !== undefined) return `${message} (this token may not do that)`
    return message
  }
}

/** Rows of a page. Chosen: the admin port gives up to 10,000 at once, and a table begins sooner with fewer. */
const PAGE_ROWS = 5_000

/** The query of the next page, as a `Link` header field has it (RFC 8288). */
function nextIn(link: string | null): URLSearchParams | undefined {
  const target = /^<([^>]*)>; rel="next"$/.exec(link ?? '')?.[1]
  return target === undefined ? undefined : new URLSearchParams(target.replace(/^[^?]*/, ''))
}
