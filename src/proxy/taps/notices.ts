// Owns what the log, a metric and operators are told of MCP that cannot be counted, or not surely, with the setting that would help.
import type { IncomingMessage } from 'node:http'
import type { FastifyBaseLogger } from 'fastify'
import { sessionOfMessage } from '../../mcp/message-uris.js'
import { canonicalPath } from '../../mcp/path-patterns.js'
import type { RoutePatterns } from '../../mcp/routes.js'
import { patternFor } from '../../mcp/shown-path.js'
import type { Traffic } from '../../metrics/traffic.js'
import { isSuccessful } from '../../util/http-status.js'
import type { ResponseHeaders } from '../http/header-section.js'
import { isEventStreamType, issuedSessionIdIn, sessionIdIn, text } from '../http/headers.js'
import type { RoutedRequest } from '../http/routed-request.js'

/** Strangers choose paths, and the log must not grow with them. Chosen: more than a gateway has kinds of paths. */
const MAX_NOTICES = 20

/** MCP on a path that no pattern covers. */
export interface UncountedPath {
  /** As logs show it. */
  path: string
  /** What would count it: a flag and its value, or in words what to do. */
  advice: string
  /** How many requests and streams there were. */
  requests: number
}

type PathSetting = keyof RoutePatterns

/** What was said of the first request to a path. */
interface Known {
  setting: PathSetting
  uncounted: UncountedPath
}

/** Says what operators would not see otherwise, each thing once. */
export class Notices {
  readonly #logger: FastifyBaseLogger
  readonly #traffic: Traffic
  readonly #patterns: RoutePatterns
  readonly #said = new Set<string>()
  readonly #uncounted = new Map<string, UncountedPath>()
  /** By the path as it was requested, at most 20 of them. It never leaves this object. */
  readonly #byPath = new Map<string, Known>()

  constructor(logger: FastifyBaseLogger, traffic: Traffic, patterns: RoutePatterns) {
    this.#logger = logger
    this.#traffic = traffic
    this.#patterns = patterns
  }

  /** The paths with MCP that is not counted, at most 20 of them. */
  get uncounted(): UncountedPath[] {
    return [...this.#uncounted.values()]
  }

  /** The head of a response came to a request that is not accounted. */
  notAccounted(request: RoutedRequest, status: number, headers: ResponseHeaders): void {
    if (!isSuccessful(status)) return
    const setting = settingFor(request.req, headers)
    if (setting !== undefined) this.#notCounted(request, setting)
  }

  /** A legacy stream announced its session, on a path that is not accounted. */
  streamNotAccounted(request: RoutedRequest): void {
    this.#notCounted(request, 'sse')
  }

  /** A response issued two session ids at once. */
  twoSessionIds(request: RoutedRequest): void {
    this.#sayOnce(
      { path: request.shownPath },
      'a response has two fields mcp-session-id: the first one counts, a client may take the other one'
    )
  }

  #notCounted(request: RoutedRequest, setting: PathSetting): void {
    const requestPath = request.target.path.split('?', 1)[0]!
    const isReadable = canonicalPath(requestPath) !== undefined
    this.#traffic.uncounted[isReadable ? 'path' : 'encoding']++
    // A legacy stream and its messages are counted at a stream path too, so one advice is enough there.
    const before = this.#byPath.get(requestPath)
    if (before !== undefined && (before.setting === setting || before.setting === 'stream')) {
      before.uncounted.requests++
      return
    }
    const path = request.shownPath
    const pattern = patternFor(requestPath, setting === 'message' || sessionIdIn(request.req) !== undefined)
    const advice = isReadable ? this.#advice(setting, pattern) : 'its path is no UTF-8'
    const uncounted = this.#uncounted.get(`${path} ${advice}`) ?? { path, advice, requests: 0 }
    uncounted.requests++
    if (this.#uncounted.size < MAX_NOTICES) this.#uncounted.set(`${path} ${advice}`, uncounted)
    if (this.#byPath.size < MAX_NOTICES) this.#byPath.set(requestPath, { setting, uncounted })
    this.#sayOnce({ path }, `a request that looks like MCP is not counted: ${advice}`)
  }

  /** The flag that would count the path, with what is counted already. */
  #advice(setting: PathSetting, pattern: string | undefined): string {
    return pattern === undefined
      ? `let --${setting}-path cover its path`
      : `give --${setting}-path ${this.#patterns[setting].replaceAll(' ', '')},${pattern}`
  }

  #sayOnce(details: { path: string }, message: string): void {
    const key = `${message}\n${details.path}`
    if (this.#said.size >= MAX_NOTICES || this.#said.has(key)) return
    this.#said.add(key)
    this.#logger.warn(details, message)
  }
}

/** The setting whose patterns should cover the path of a request; undefined if its head does not look like MCP. */
function settingFor(req: IncomingMessage, headers: ResponseHeaders): PathSetting | undefined {
  const { method, url = '', headers: request } = req
  const namesSession = sessionIdIn(req) !== undefined
  if (method === 'GET' && isEventStreamType(headers)) return namesSession ? 'stream' : undefined
  if (issuedSessionIdIn(headers) !== undefined) return 'stream'
  const isMcp = namesSession || request['mcp-protocol-version'] !== undefined
  if (method !== 'POST' || !isMcp || !/\bjson\b/i.test(text(request['content-type']) ?? '')) return undefined
  // Messages of the legacy transport name their session in the URI alone.
  return namesSession || sessionOfMessage(url) === undefined ? 'stream' : 'message'
}
