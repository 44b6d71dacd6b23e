// Owns which requests are accounted: the path patterns of the upstream's endpoints, matched against the raw path and query.
//
// To add a transport: give it a number in transports.ts, a pattern and a kind of route here, a tap in proxy/taps (chosen by
// tap-for.ts), its observations in sessions/observations.ts, and what they mean in sessions/signals.ts and tracker.ts.
import { sessionOfMessage } from './message-uris.js'
import {
  canonicalPath,
  decode,
  foldCase,
  hasDotSegment,
  ONLY_ENDPOINT,
  type PathPattern,
  patternsIn,
  splitAtEncodedSlashes
} from './path-patterns.js'
import { maskedPath, MAX_SHOWN_LENGTH } from './shown-path.js'
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
 * Path patterns (`--stream-path`, `--sse-path`, `--message-path`), each one or several with commas between them. `{name}`
 * stands for the endpoint id, which is one path segment, `{name+}` for an id of one or more segments; a pattern without
 * either stands for one single endpoint.
 */
export interface RoutePatterns {
  /** Streamable HTTP. */
  stream: string
  /** Legacy HTTP+SSE: the stream, and where its messages are posted. */
  sse: string
  message: string
}

/** A pattern of a kind of request. */
interface KindOfPath {
  kind: 'streamable' | 'legacy-stream'
  pattern: PathPattern
}

/**
 * The order in which the patterns of several settings are tried: paths without an id first, so that `/mcp/{server}` leaves
 * `/mcp/sse` alone, then the first pattern of each setting, the second of each, and so on.
 */
const inOrder = <P extends { pattern: PathPattern }>(...settings: readonly P[][]): P[] =>
  settings
    .flatMap(patterns => patterns.map((of, place) => ({ of, place })))
    .sort((a, b) => Number(a.of.pattern.hasPlace) - Number(b.of.pattern.hasPlace) || a.place - b.place)
    .map(({ of }) => of)

/** A pattern and the setting that has it. */
export interface PatternOfSetting {
  setting: keyof RoutePatterns
  pattern: PathPattern
}

/**
 * The first pattern for which no request is left, as another one comes before it and stands for the same paths. `mayBeHidden`:
 * settings whose patterns nobody asked for.
 */
export function findHidden(
  patterns: RoutePatterns,
  mayBeHidden: ReadonlySet<keyof RoutePatterns> = new Set()
): { hidden: PatternOfSetting; by: PatternOfSetting } | undefined {
  const of = (setting: keyof RoutePatterns): PatternOfSetting[] =>
    patternsIn(patterns[setting]).map(pattern => ({ setting, pattern }))
  for (const tried of [of('stream'), inOrder(of('stream'), of('sse')), of('message')]) {
    for (const [i, hidden] of tried.entries()) {
      const by = tried.slice(0, i).find(({ pattern }) => pattern.covers(hidden.pattern))
      if (by && !mayBeHidden.has(hidden.setting)) return { hidden, by }
    }
  }
  return undefined
}

/**
 * Tells by method and target what a request is. A path is matched in one canonical spelling, so that an endpoint is the
 * same however its path is written; only what the upstream accepts is counted, so nothing is counted that it does not serve.
 */
export class Routes {
  /** What was set. */
  readonly patterns: RoutePatterns
  readonly #ofGet: readonly KindOfPath[]
  readonly #ofOthers: readonly KindOfPath[]
  readonly #messages: readonly PathPattern[]
  /** The endpoint of messages whose URL does not name one. */
  readonly #ofMessages: WireId | undefined
  /** Of the patterns, without those that have a place for an id, in lower case. */
  readonly #ownSegments: ReadonlySet<string>

  constructor(patterns: RoutePatterns) {
    const { stream, sse, message } = patterns
    this.patterns = patterns
    const streams = patternsIn(stream).map(pattern => ({ kind: 'streamable' as const, pattern }))
    const legacy = patternsIn(sse).map(pattern => ({ kind: 'legacy-stream' as const, pattern }))
    this.#ofGet = inOrder<KindOfPath>(streams, legacy)
    this.#ofOthers = streams
    this.#messages = patternsIn(message)
    const segments = [...streams, ...legacy, ...this.#messages.map(pattern => ({ pattern }))].flatMap(
      ({ pattern }) => pattern.text.toLowerCase().split('/')
    )
    this.#ownSegments = new Set(segments.filter(segment => !segment.includes('{')))
    this.#ofMessages = legacy.every(({ pattern }) => !pattern.hasPlace) ? ONLY_ENDPOINT : undefined
  }

  /** The first pattern of Streamable HTTP endpoints, as it was written. */
  get streamPattern(): string {
    return this.#ofOthers[0]!.pattern.text
  }

  /** The paths that a Streamable HTTP endpoint may have; none where no path leads there. */
  streamPaths(endpointId: WireId | StoredId): string[] {
    return this.#pathsOf('streamable', endpointId)
  }

  /** The same of a legacy stream. */
  ssePaths(endpointId: WireId | StoredId): string[] {
    return this.#pathsOf('legacy-stream', endpointId)
  }

  /** The target of a request as logs show it: the path of its endpoint, else its path without all that may be an id. */
  shownPath(target: string, route: Route | undefined): string {
    const path = target.split('?', 1)[0]!
    const paths =
      route === undefined || route.kind === 'message' ? [] : this.#pathsOf(route.kind, route.endpointId)
    const asked = canonicalPath(path)
    const shown = paths.find(one => canonicalPath(one) === asked) ?? paths[0]
    return shown?.slice(0, MAX_SHOWN_LENGTH) ?? maskedPath(path, this.#ownSegments)
  }

  /** Reads a target in origin-form (RFC 9112 §3.2.1); undefined where nothing is accounted. */
  match(method: string | undefined, target: string): Route | undefined {
    const queryAt = target.indexOf('?')
    const path = canonicalPath(queryAt === -1 ? target : target.slice(0, queryAt))
    if (path === undefined) return undefined
    const route = this.#routeOf(method, path, target)
    if (route !== undefined) return route
    const split = splitAtEncodedSlashes(path)
    return (
      (split === undefined ? undefined : this.#routeOf(method, split, target)) ??
      this.#routeOf(method, path, target, foldCase(path))
    )
  }

  /** `folded`: the path with small letters only, to ignore the case of the patterns' letters. */
  #routeOf(method: string | undefined, path: string, target: string, folded?: string): Route | undefined {
    const endpointBy = (pattern: PathPattern): WireId | undefined =>
      folded === undefined ? pattern.endpointOf(path) : pattern.endpointIgnoringCase(path, folded)
    const message = method === 'POST' ? this.#messageAt(target, endpointBy) : undefined
    if (message !== undefined) return message
    for (const { kind, pattern } of method === 'GET' || method === 'POST' ? this.#ofGet : this.#ofOthers) {
      const endpointId = endpointBy(pattern)
      if (endpointId === undefined) continue
      if (kind === 'streamable' || method === 'GET') return { kind, endpointId }
      // The Go SDK takes messages at the path of the stream.
      const posted = messageOf(target, endpointId)
      if (posted !== undefined) return posted
    }
    return undefined
  }

  #messageAt(target: string, endpointBy: (pattern: PathPattern) => WireId | undefined): Route | undefined {
    for (const pattern of this.#messages) {
      const named = endpointBy(pattern)
      if (named === undefined) continue
      return pattern.hasPlace ? messageOf(target, named) : messageOf(target, undefined, this.#ofMessages)
    }
    return undefined
  }

  #pathsOf(kind: KindOfPath['kind'], endpointId: WireId | StoredId): string[] {
    return this.#ofGet
      .filter(candidate => candidate.kind === kind)
      .map(({ pattern }) => pattern.pathOf(endpointId))
      .filter(path => {
        const route = hasDotSegment(path) ? undefined : this.match('GET', path)
        return route?.kind === kind && route.endpointId === endpointId
      })
  }
}

/**
 * A message whose stream may be held elsewhere; undefined where the target names no session. `named`: the endpoint in its path;
 * `otherwise`: the endpoint of messages that name none.
 */
function messageOf(
  target: string,
  named: WireId | undefined,
  otherwise: WireId | undefined = named
): Route | undefined {
  const sessionId = sessionOfMessage(target, otherwise)
  if (sessionId === undefined) return undefined
  const query = target.slice(target.indexOf('?') + 1)
  const endpointId = named ?? parameter(query, 'endpointId', 'endpoint_id') ?? otherwise
  return { kind: 'message', endpointId, sessionId }
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
