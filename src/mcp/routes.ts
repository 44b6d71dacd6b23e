// Owns which requests are accounted: the endpoint patterns of the gateway, read from the raw path and query.

export type Route =
  | { kind: 'streamable'; endpointId: string }
  | { kind: 'legacy-stream'; endpointId: string }
  | { kind: 'message'; endpointId: string | undefined; sessionId: string }

/** Path patterns: `{…}` stands for the endpoint id, one path segment; without it, all is one endpoint. */
export interface RoutePatterns {
  /** Streamable HTTP. */
  stream: string
  /** Legacy HTTP+SSE: the stream, and where its messages are posted. */
  sse: string
  message: string
}

/** The endpoint of a pattern that names none. */
export const ONLY_ENDPOINT = 'default'

/** The path of an endpoint. */
export const pathOf = (pattern: string, endpointId: string): string =>
  pattern.replace(/\{\w+\}/, () => encodeURIComponent(endpointId))

/** Whether every URL with this path is resolved to another one. */
export const hasDotSegment = (path: string): boolean => /\/\.\.?(\/|$)/.test(path)

export class Routes {
  readonly #stream: PathPattern
  readonly #sse: PathPattern
  readonly #message: string

  constructor(patterns: RoutePatterns) {
    this.#stream = new PathPattern(patterns.stream)
    this.#sse = new PathPattern(patterns.sse)
    this.#message = patterns.message
  }

  /** The path of a Streamable HTTP endpoint. */
  streamPath(endpointId: string): string {
    return this.#stream.pathOf(endpointId)
  }

  /** Reads a target in origin-form; undefined where nothing is accounted. */
  match(method: string | undefined, target: string): Route | undefined {
    const queryAt = target.indexOf('?')
    const path = queryAt === -1 ? target : target.slice(0, queryAt)
    const posted = method === 'POST' && path === this.#message && queryAt !== -1
    const message = posted ? this.#messageOf(target.slice(queryAt + 1)) : undefined
    if (message !== undefined) return message
    const streamable = this.#stream.endpointOf(path)
    if (streamable !== undefined) return { kind: 'streamable', endpointId: streamable }
    const legacy = method === 'GET' ? this.#sse.endpointOf(path) : undefined
    return legacy === undefined ? undefined : { kind: 'legacy-stream', endpointId: legacy }
  }

  #messageOf(query: string): Route | undefined {
    const sessionId = sessionIdOf(query)
    if (sessionId === undefined) return undefined
    const endpointId = parameter(query, 'endpointId', 'endpoint_id') ?? this.#sse.only
    return { kind: 'message', endpointId, sessionId }
  }
}

class PathPattern {
  readonly #before: string
  /** Undefined: the pattern has no place for an id. */
  readonly #after: string | undefined

  constructor(pattern: string) {
    const [before, after] = pattern.split(/\{\w+\}/)
    this.#before = before!
    this.#after = after
  }

  /** The one endpoint of a pattern that names none. */
  get only(): string | undefined {
    return this.#after === undefined ? ONLY_ENDPOINT : undefined
  }

  pathOf(endpointId: string): string {
    return this.#after === undefined
      ? this.#before
      : this.#before + encodeURIComponent(endpointId) + this.#after
  }

  endpointOf(path: string): string | undefined {
    if (this.#after === undefined) return path === this.#before ? ONLY_ENDPOINT : undefined
    if (!path.startsWith(this.#before) || !path.endsWith(this.#after)) return undefined
    return pathSegment(path.slice(this.#before.length, path.length - this.#after.length))
  }
}

/** The session named by a query string: `sessionId`, as rmcp writes it, or `session_id`. */
export function sessionIdOf(query: string): string | undefined {
  return parameter(query, 'sessionId', 'session_id')
}

function pathSegment(text: string): string | undefined {
  return text === '' || text.includes('/') ? undefined : decode(text)
}

function parameter(query: string, name: string, otherName: string): string | undefined {
  for (const pair of query.split('&')) {
    const equalsAt = pair.indexOf('=')
    const key = pair.slice(0, equalsAt)
    if (equalsAt > 0 && (key === name || key === otherName)) {
      return decode(pair.slice(equalsAt + 1).replaceAll('+', ' ')) || undefined
    }
  }
  return undefined
}

/** As axum does it: a broken escape is the text it is; undefined for what is no UTF-8, which it answers with 400. */
function decode(text: string): string | undefined {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text.replace(/%(?![\da-f]{2})/gi, '%25'))
  } catch {
    return undefined
  }
}
