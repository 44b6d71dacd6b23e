// Owns which header fields pass: hop-by-hop fields end here, forwarding fields are added, and all others keep their
// order, case and repetition.
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { ResponseHeaders } from './header-section.js'
import { RefusedRequest } from './proxy-errors.js'

/** RFC 9110 §7.6.1. */
const hopByHop = ['connection', 'keep-alive', 'proxy-connection', 'te', 'transfer-encoding', 'upgrade']

/**
 * Of a request these end here too: `expect` is answered by node, trailers are dropped (RFC 9110 §6.5.1), and the others
 * are written anew.
 */
const notForwarded = new Set([...hopByHop, 'expect', 'trailer', 'host', 'x-forwarded-for'])

const notReturned = new Set(hopByHop)

/** `Connection: content-length` must not strip what frames a message, says who is asking or forwards, or is accounted. */
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

/** A name or an address, and a port (RFC 9110 §7.2); a request without one has it empty. */
const authorityForm = /^(?:[\w.~!$&'()*+,;=%-]*|\[[\w.:%~-]+\])(?::\d*)?$/

export interface ForwardedHeaders {
  /** The authority of an absolute-form target, which replaces the `Host` field (RFC 9112 §3.2.2). */
  authority: string | undefined
  /** Sent as `Host` instead of the client's. */
  rewrittenHost: string | undefined
  /** Length of a body that is all there; the client may have sent it in chunks. */
  bodyBytes: number | undefined
}

/** The header fields to send upstream, as name, value, name, value. */
export function requestHeaders(req: IncomingMessage, options: ForwardedHeaders): string[] {
  const { rawHeaders, headers } = req
  const named = namedBy(headers.connection)
  const host = options.authority ?? headers.host ?? ''
  if (!authorityForm.test(host)) throw new RefusedRequest('The Host of the request is not valid')
  const forwarded = ['Host', options.rewrittenHost ?? host]
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
    if (options.bodyBytes === undefined) forwarded.push('Transfer-Encoding', 'chunked')
    else forwarded.push('Content-Length', String(options.bodyBytes))
  }
  if (/\btrailers\b/i.test(String(headers.te))) forwarded.push('TE', 'trailers')
  const before = headers['x-forwarded-for']
  const address = addressOf(req)
  forwarded.push('X-Forwarded-For', before === undefined ? address : `${String(before)}, ${address}`)
  if (headers['x-forwarded-proto'] === undefined) forwarded.push('X-Forwarded-Proto', 'http')
  if (headers['x-forwarded-host'] === undefined) forwarded.push('X-Forwarded-Host', host)
  forwarded.push('Via', `${req.httpVersion} mcp-turnstile`)
  return forwarded
}

/** The header fields of an answer to send to the client; `trailer` only where the answer will be chunked. */
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

/** The address of the peer; an IPv4 one as such, also on an IPv6 socket. */
export function addressOf(req: IncomingMessage): string {
  const address = req.socket.remoteAddress ?? ''
  return address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address
}

/** An event stream that can be read as it is. */
export function isEventStream(headers: ResponseHeaders): boolean {
  const type = text(headers['content-type']) ?? ''
  return headers['content-encoding'] === undefined && /^text\/event-stream\b/i.test(type)
}

/** A field that should be there once. */
export function text(value: IncomingHttpHeaders[string]): string | undefined {
  return typeof value === 'string' ? value : value?.[0]
}

/** Of a field sent twice the first counts, as for the gateways; node joins them. */
export function sessionIdIn(req: IncomingMessage): string | undefined {
  const joined = text(req.headers['mcp-session-id'])
  return joined?.includes(', ') ? req.headersDistinct['mcp-session-id']?.[0] : joined
}

/** The fields that a `Connection` field takes out of the message. */
function namedBy(connection: string | undefined): Set<string> | undefined {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return undefined
  const named = connection
    .toLowerCase()
    .split(',')
    .map(name => name.trim())
    .filter(name => !essential.has(name) && !name.startsWith('mcp-'))
  return new Set(named)
}

function without(headers: string[], names: Set<string>): string[] {
  const kept: string[] = []
  for (let i = 0; i < headers.length; i += 2) {
    if (!names.has(headers[i]!.toLowerCase())) kept.push(headers[i]!, headers[i + 1]!)
  }
  return kept
}
