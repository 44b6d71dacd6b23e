// Owns which header fields pass: hop-by-hop fields end here, forwarding fields are added, and all others keep their
// order, case and repetition.
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { LISTEN_METHOD } from '../../mcp/methods.js'
import type { ResponseHeaders } from './header-section.js'
import { RefusedRequest } from './proxy-errors.js'
import type { Target } from './request-target.js'

/** Fields that concern one connection only (RFC 9110 §7.6.1). */
const hopByHop = ['connection', 'keep-alive', 'proxy-connection', 'te', 'transfer-encoding', 'upgrade']

/**
 * Fields of a request that do not pass either: Node itself answers `expect`, trailers are dropped (RFC 9110 §6.5.1), and the
 * proxy writes `host` and `x-forwarded-for` itself.
 */
const notForwarded = new Set([...hopByHop, 'expect', 'trailer', 'host', 'x-forwarded-for'])

const notReturned = new Set(hopByHop)

/**
 * Fields that `Connection` cannot take out of a message, as `Connection: content-length` would: those that frame it, say who
 * sends it or through which proxies it came, or are accounted. So are all that begin with `mcp-`.
 */
const essential = new Set([
  'authorization',
  'content-encoding',
  'content-length',
  'content-type',
  'host',
  'user-agent',
  'www-authenticate',
  'x-forwarded-host',
  'x-forwarded-proto'
])

/** `Host` (RFC 9110 §7.2): a name or an address, and a port; empty for a request whose target has no authority. */
const authorityForm = /^(?:[\w.~!$&'()*+,;=%-]*|\[[\w.:%~-]+\])(?::\d*)?$/

/** What of a request decides on its header fields. */
export interface ReadRequest {
  readonly req: IncomingMessage
  readonly target: Target
  /** The IP address at the other end of the connection. */
  readonly peerAddress: string
}

/**
 * The header fields of `request` to send upstream: name, value, name, value. Throws `RefusedRequest` if its `Host` is not
 * valid.
 * @param rewrittenHost Sent as `Host` in place of the client's.
 * @param bodyBytes Length of a body that is all there, which the client may have sent in chunks; undefined while it comes.
 */
export function requestHeaders(
  { req, target, peerAddress }: ReadRequest,
  rewrittenHost: string | undefined,
  bodyBytes: number | undefined
): string[] {
  const { rawHeaders, headers } = req
  const named = namedBy(headers.connection)
  // The authority of a target in absolute-form replaces `Host` (RFC 9112 §3.2.2).
  const host = target.authority ?? headers.host ?? ''
  if (!authorityForm.test(host)) throw new RefusedRequest('The Host of the request is not valid')
  const forwarded = ['Host', rewrittenHost ?? host]
  let hosts = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    const value = rawHeaders[i + 1]!
    const key = name.toLowerCase()
    if (notForwarded.has(key)) {
      if (key === 'host' && ++hosts > 1) throw new RefusedRequest('The request has more than one Host')
    } else if (!named?.has(key)) {
      forwarded.push(name, value)
    }
  }
  if (headers['transfer-encoding'] !== undefined) {
    if (bodyBytes === undefined) forwarded.push('Transfer-Encoding', 'chunked')
    else forwarded.push('Content-Length', String(bodyBytes))
  }
  if (/\btrailers\b/i.test(String(headers.te))) forwarded.push('TE', 'trailers')
  const before = headers['x-forwarded-for']
  forwarded.push('X-Forwarded-For', before === undefined ? peerAddress : `${String(before)}, ${peerAddress}`)
  if (headers['x-forwarded-proto'] === undefined)
    forwarded.push('X-Forwarded-Proto', 'encrypted' in req.socket ? 'https' : 'http')
  if (headers['x-forwarded-host'] === undefined) forwarded.push('X-Forwarded-Host', host)
  forwarded.push('Via', `${req.httpVersion} mcp-turnstile`)
  return forwarded
}

/**
 * The header fields of a response to send to the client: name, value, name, value. Without chunks (`chunked`: the body will have
 * them) there are no trailers, and no `Trailer` field that announces them.
 */
export function responseHeaders(fields: readonly string[], chunked: boolean): string[] {
  const returned: string[] = []
  let connection: string | undefined
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!
    const value = fields[i + 1]!
    const key = name.toLowerCase()
    if (!notReturned.has(key)) {
      if (key !== 'trailer' || chunked) returned.push(name, value)
    } else if (key === 'connection') {
      connection = connection === undefined ? value : `${connection},${value}`
    }
  }
  const named = namedBy(connection)
  return named === undefined ? returned : without(returned, named)
}

/** What no informational response may have (RFC 9110 §8.6). */
export const bodyLength: ReadonlySet<string> = new Set(['content-length'])

/** Header fields as lines; `fields`: name, value, name, value. */
export function fieldLines(fields: readonly string[]): string {
  let text = ''
  for (let i = 0; i < fields.length; i += 2) text += `${fields[i]!}: ${fields[i + 1]!}\r\n`
  return text
}

/** Whether the body is an event stream that can be read as it comes, without a content coding. */
export function isEventStream(headers: ResponseHeaders): boolean {
  return headers['content-encoding'] === undefined && isEventStreamType(headers)
}

/** Whether the body is an event stream, in whichever content coding. */
export function isEventStreamType(headers: ResponseHeaders): boolean {
  return /^text\/event-stream\b/i.test(text(headers['content-type']) ?? '')
}

/**
 * Whether the head of a request asks for a stream of events (MCP 2025-03-26, Streamable HTTP, "Listening for Messages from the
 * Server"; MCP 2026-07-28, `subscriptions/listen`).
 */
export function asksForStream({ method, headers }: IncomingMessage): boolean {
  if (method === 'GET') return /\btext\/event-stream\b/i.test(headers.accept ?? '')
  return headers['mcp-method'] === LISTEN_METHOD
}

/** The value of a field that should be there once; the first if it is there more often. */
export function text(value: IncomingHttpHeaders[string]): string | undefined {
  return typeof value === 'string' ? value : value?.[0]
}

/**
 * `mcp-session-id` of a request; undefined for an empty one, which names no session. If it was sent twice, Node joins the
 * values; here the first one counts, as in rmcp.
 */
export function sessionIdIn(req: IncomingMessage): string | undefined {
  const joined = text(req.headers['mcp-session-id'])
  return (joined?.includes(', ') ? req.headersDistinct['mcp-session-id']?.[0] : joined) || undefined
}

/** `mcp-session-id` of a response; undefined for an empty one, which stateless servers send. */
export const issuedSessionIdIn = (headers: ResponseHeaders): string | undefined =>
  headers['mcp-session-id'] || undefined

/** The fields that `Connection` takes out of a message, in lower case. */
function namedBy(connection: string | undefined): Set<string> | undefined {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return undefined
  const named = connection
    .toLowerCase()
    .split(',')
    .map(name => name.trim())
    .filter(name => !essential.has(name) && !name.startsWith('mcp-'))
  return new Set(named)
}

/** `headers` (name, value, name, value) without those of the given names, in lower case. */
export function without(headers: string[], names: ReadonlySet<string>): string[] {
  const kept: string[] = []
  for (let i = 0; i < headers.length; i += 2) {
    if (!names.has(headers[i]!.toLowerCase())) kept.push(headers[i]!, headers[i + 1]!)
  }
  return kept
}
