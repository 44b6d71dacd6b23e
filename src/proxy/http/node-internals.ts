// Owns every use of what Node does not document: each with the reason, the versions it was seen in, and a test that fails
// when a new version of Node works in another way.
//
// Seen in Node 20, 22 and 24.
import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

interface Internals {
  /** Writes behind the head, which it sends first if it is not out yet. */
  _send(data: string, encoding: 'latin1'): boolean
  /** The text of the head; null before `writeHead`. */
  _header: string | null
}

const internalsOf = (res: ServerResponse): Internals => res as unknown as Internals

/**
 * Writes `text` (Latin-1, framed already) to the client at once, together with the head if that is not out yet. Node's own
 * `end(text)` writes it in parts, the last of them empty, which took 8 % more CPU per request. Returns what `write` of the
 * socket returned: false means that the socket, not the response, will emit `drain`.
 */
export const sendNow = (res: ServerResponse, text: string): boolean => internalsOf(res)._send(text, 'latin1')

/**
 * Node keeps the head for as long as the response lasts, as the tree of concatenations that it was built from: half a
 * kilobyte more than its text, for each open stream. Reading one character makes V8 turn the tree into one string.
 */
export function flattenHead(res: ServerResponse): void {
  internalsOf(res)._header?.charCodeAt(0)
}

/**
 * From now on the body goes out as it is written: the caller frames it. To be called after `writeHead`, which then has
 * added `Transfer-Encoding: chunked` where there is no length. Node would need four writes for each chunk.
 */
export function takeOverFraming(res: ServerResponse): void {
  res.chunkedEncoding = false
}

/** Ends the client's connection after this response, and says so in its head if that was not written yet. */
export function endConnectionAfter(res: ServerResponse): void {
  res.shouldKeepAlive = false
}

/** Whether another request may follow this response on its connection. */
export const keepsConnection = (res: ServerResponse): boolean => res.shouldKeepAlive

/**
 * `Server.close` ends idle connections by a call of this method, also those on which a client is just sending its next
 * request. Afterwards it leaves all connections open.
 */
export function neverCloseIdleConnections(server: Server): void {
  server.closeIdleConnections = () => undefined
}

/**
 * The option of `createServer` that says which requests become an `upgrade` event. Node has it from 24.9 on, and our types
 * of Node 20 do not know it; older versions ignore it and emit `upgrade` for each request with an `Upgrade` field.
 */
export const upgradeOnlyIf = (isUpgrade: (req: IncomingMessage) => boolean): ServerOptions =>
  ({ shouldUpgradeCallback: isUpgrade }) as ServerOptions

/** The file descriptor of a connection, also below TLS; undefined where it has none (any more). */
export function descriptorOf(socket: Socket): number | undefined {
  const fd = (socket as unknown as { _handle?: { fd?: unknown } | null })._handle?.fd
  return typeof fd === 'number' && fd >= 0 ? fd : undefined
}
