// Owns which requests are accounted: the path patterns of the upstream's endpoints, matched against the raw path and query.
//
// To add a transport: give it a number in transports.ts, a pattern and a kind of route here, a tap in proxy/taps (chosen by
// tap-for.ts), its observations in sessions/observations.ts, and what they mean in sessions/signals.ts and tracker.ts.
import { sessionOfMessage } from './message-uris.js'
import type { StoredId, WireId } from './stored-ids.js'

/**
 * What an accounted request is: one of Streamable HTTP, the stream of the legacy HTTP+SSE transport, or a message posted to
 * that one. A message's `endpointId` is what its URL says of it, if anything; only its session says what is true.
 */
export type Route =
  | { kind: 'streamable'; endpointId: WireId }
  | { kind: 'legacy-stream'; endpointId: WireId }
  | { kind: 'message'; endpointId: WireId | undefined; sessionId: WireId }

/**
 * Path patterns (`--stream-path`, `--sse-path`, `--message-path`). `{…}` stands for the endpoint id, which is one path
 * segment; a pattern without it stands for one single endpoint.
 */
export interface RoutePatterns {
  /** Streamable HTTP. */
  stream: string
  /** Legacy HTTP+SSE: the stream, and where its messages are posted. */
  sse: string
  message: string
}

/** The endpoint id of a pattern that has no place for one. */
export const ONLY_ENDPOINT = 'default'

/** The path of an endpoint by its pattern. */
export const pathOf = (pattern: string, endpointId: WireId | StoredId): string =>
  pattern.replace(/\{\w+\}/, () => encodeURIComponent(endpointId))

/** Whether the path holds `.` or `..`: every URL with it is resolved to another path (RFC 3986 §5.2.4). */
export const hasDotSegment = (path: string): boolean => /\/\.\.?(\/|$)/.test(path)

/** Tells by method and target what a request is. */
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
  streamPath(endpointId: WireId | StoredId): string {
    return this.#stream.pathOf(endpointId)
  }

  /** Reads a target in origin-form (RFC 9112 §3.2.1); undefined where nothing is accounted. */
  match(method: string | undefined, target: string): Route | undefined {
    const queryAt = target.indexOf('?')
    const path = queryAt === -1 ? target : target.slice(0, queryAt)
    const message =
      method === 'POST' && path === this.#message ? messageOf(target, this.#sse.only) : undefined
    if (message !== undefined) return message
    const streamable = this.#stream.endpointOf(path)
    if (streamable !== undefined) return { kind: 'streamable', endpointId: streamable }
    const legacy = method === 'GET' || method === 'POST' ? this.#sse.endpointOf(path) : undefined
    if (legacy === undefined) return undefined
    // The Go SDK takes messages at the path of the stream.
    return method === 'GET' ? { kind: 'legacy-stream', endpointId: legacy } : messageOf(target, legacy)
  }
}

/** A message whose stream may be held elsewhere; undefined where the target names no session. */
function messageOf(target: string, endpointId: WireId | undefined): Route | undefined {
  const sessionId = sessionOfMessage(target, endpointId)
  if (sessionId === undefined) return undefined
  const query = target.slice(target.indexOf('?') + 1)
  return {
    kind: 'message',
    endpointId: parameter(query, 'endpointId', 'endpoint_id') ?? endpointId,
    sessionId
  }
}

class PathPattern {
  /** The text before and after the id. */
  readonly #before: string
  /** Undefined: the pattern has no place for an id. */
  readonly #after: string | undefined

  constructor(pattern: string) {
    const [before, after] = pattern.split(/\{\w+\}/)
    this.#before = before!
    this.#after = after
  }

  /** The one endpoint of a pattern that has no place for an id. */
  get only(): string | undefined {
    return this.#after === undefined ? ONLY_ENDPOINT : undefined
  }

  pathOf(endpointId: WireId | StoredId): string {
    return this.#after === undefined
      ? this.#before
      : this.#before + encodeURIComponent(endpointId) + this.#after
  }

  endpointOf(path: string): WireId | undefined {
    if (this.#after === undefined) return path === this.#before ? ONLY_ENDPOINT : undefined
    if (!path.startsWith(this.#before) || !path.endsWith(this.#after)) return undefined
    return pathSegment(path.slice(this.#before.length, path.length - this.#after.length))
  }
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

/**
 * Decodes percent-escapes as axum, the HTTP library of rmcp, does: a broken escape stays as it is. Undefined for what is no
 * UTF-8, which axum answers with 400.
 */
function decode(text: string): string | undefined {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text.replace(/%(?![\da-f]{2})/gi, '%25'))
  } catch {
    return undefined
  }
}
