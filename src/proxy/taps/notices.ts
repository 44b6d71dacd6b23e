// Owns what the log says of MCP that cannot be counted, or not surely: each thing once, with the setting that would help.
import type { IncomingMessage } from 'node:http'
import type { FastifyBaseLogger } from 'fastify'
import { sessionOfMessage } from '../../mcp/message-uris.js'
import { canonicalPath } from '../../mcp/path-patterns.js'
import type { Traffic } from '../../metrics/traffic.js'
import { isSuccessful } from '../../util/http-status.js'
import type { ResponseHeaders } from '../http/header-section.js'
import { isEventStreamType, issuedSessionIdIn, sessionIdIn, text } from '../http/headers.js'
import type { RoutedRequest } from '../http/routed-request.js'

/** Strangers choose paths, and the log must not grow with them. Chosen: more than a gateway has kinds of paths. */
const MAX_NOTICES = 20

/** Says what operators would not see otherwise. */
export class Notices {
  readonly #logger: FastifyBaseLogger
  readonly #traffic: Traffic
  readonly #said = new Set<string>()

  constructor(logger: FastifyBaseLogger, traffic: Traffic) {
    this.#logger = logger
    this.#traffic = traffic
  }

  /** The head of a response came to a request that is not accounted. */
  notAccounted(request: RoutedRequest, status: number, headers: ResponseHeaders): void {
    if (!isSuccessful(status)) return
    const setting = settingFor(request.req, headers)
    if (setting === undefined) return
    const reason = canonicalPath(request.target.path.split('?', 1)[0]!) === undefined ? 'encoding' : 'path'
    this.#traffic.uncounted[reason]++
    const advice = reason === 'path' ? `let ${setting} cover its path` : 'its path is no UTF-8'
    this.#sayOnce({ path: request.shownPath }, `a request that looks like MCP is not counted: ${advice}`)
  }

  /** A response issued two session ids at once. */
  twoSessionIds(request: RoutedRequest): void {
    this.#sayOnce(
      { path: request.shownPath },
      'a response has two fields mcp-session-id: the first one counts, a client may take the other one'
    )
  }

  #sayOnce(details: { path: string }, message: string): void {
    const key = `${message}\n${details.path}`
    if (this.#said.size >= MAX_NOTICES || this.#said.has(key)) return
    this.#said.add(key)
    this.#logger.warn(details, message)
  }
}

/** The setting whose patterns should cover the path of a request; undefined if it does not look like MCP. */
function settingFor(req: IncomingMessage, headers: ResponseHeaders): string | undefined {
  const { method, url = '', headers: request } = req
  const namesSession = sessionIdIn(req) !== undefined
  if (method === 'GET' && isEventStreamType(headers)) return namesSession ? '--stream-path' : '--sse-path'
  if (issuedSessionIdIn(headers) !== undefined) return '--stream-path'
  const isMcp = namesSession || request['mcp-protocol-version'] !== undefined
  if (method !== 'POST' || !isMcp || !/\bjson\b/i.test(text(request['content-type']) ?? '')) return undefined
  return sessionOfMessage(url) === undefined ? '--stream-path' : '--message-path'
}
