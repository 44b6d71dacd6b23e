// Owns where the messages of legacy streams are posted (MCP 2024-11-05, "HTTP with SSE"): the URI that a stream announces is
// opaque, so a message belongs to the open stream that announced its target; and which part of such a URI names the session.
import { createHash, randomUUID } from 'node:crypto'
import { sessionKey, storedEndpointId, storedSessionId, type WireId } from './stored-ids.js'

/**
 * Parameters that hold a session's id; the first of these that a URI has counts. Seen in rmcp and the TypeScript SDK
 * (`sessionId`), the Python SDK (`session_id`), the Go SDK (`sessionid`), and servers of others.
 */
const SESSION_PARAMETERS = [
  ...['sessionId', 'session_id', 'sessionid', 'session', 'client_id', 'clientId', 'clientid'],
  ...[
    'session-id',
    'mcp-session-id',
    'mcp_session_id',
    'mcpSessionId',
    'sid',
    'connection_id',
    'connectionId'
  ]
]
/** Parameters that name no session, whatever they look like: the endpoint, and secrets, which are never stored. */
const OTHER_PARAMETER = /^endpoint_?id$|token|key|secret|auth|sig/i
/** Six characters with a digit, or twenty without a word's look: ids of all kinds, few words. Chosen. */
const ID_LIKE = /^(?=.*\d)[\w.~:=-]{6,}$|^(?=.*[a-z])(?=.*[A-Z])[\w~-]{20,}$/
/** Revisions of MCP and versions, which are no ids. */
const VERSION = /^v?\d+([.-]\d+)+$/
/** Sessions of streams that ended whose ids are remembered. Chosen: some megabytes. */
const MAX_ENDED = 10_000
/** Longer targets are kept as a digest. Chosen: longer than those that servers announce. */
const MAX_KEY_LENGTH = 512

/**
 * The session that the URI of a message names: by a known parameter, else by the one parameter that looks like an id, else
 * by the last segment of its path if that looks like one. Undefined if there is nothing of the kind.
 * @param target Path and query.
 * @param constant Text whose parts do not differ from session to session: the target of the stream.
 */
export function sessionOfMessage(target: string, constant = ''): WireId | undefined {
  const queryAt = target.indexOf('?')
  const parameters = new URLSearchParams(queryAt === -1 ? '' : target.slice(queryAt))
  for (const name of SESSION_PARAMETERS) {
    const value = parameters.get(name)
    if (value !== null && value !== '') return readable(value)
  }
  const isId = (value: string): boolean =>
    ID_LIKE.test(value) && !VERSION.test(value) && !constant.includes(value)
  const values = new Set(
    [...parameters].flatMap(([name, value]) => (OTHER_PARAMETER.test(name) || !isId(value) ? [] : [value]))
  )
  if (values.size > 0) return values.size === 1 ? [...values][0] : undefined
  const path = queryAt === -1 ? target : target.slice(0, queryAt)
  const end = path.endsWith('/') ? path.length - 1 : path.length
  const segment = path.slice(path.lastIndexOf('/', end - 1) + 1, end)
  return isId(segment) ? segment : undefined
}

/** What is no UTF-8 is no id: parsers put U+FFFD in its place. */
const readable = (id: string): WireId | undefined => (id.includes('\ufffd') ? undefined : id)

/** Who sent a request; worked out only where it is asked for. */
export interface Sender {
  readonly client: { address: string; userAgent: string | undefined }
}

/** A legacy stream and its session. */
export interface AnnouncedSession {
  readonly endpointId: WireId
  readonly sessionId: WireId
}

interface Announcement extends AnnouncedSession {
  readonly sender: Sender
  readonly keys: ReadonlySet<string>
  /** Undefined where the endpoint's id is never stored. */
  readonly sessionKey: string | undefined
}

/** The URIs that the open streams of this process have announced: an entry or two a stream, removed at its end. */
export class MessageUris {
  /** By the key of a target; more than one only where streams announce the same URI. */
  readonly #announced = new Map<string, Announcement[]>()
  readonly #sessions = new Set<string>()
  /** Of streams that ended: a later stream with such an id is another session. */
  readonly #ended = new Set<string>()

  /**
   * A stream announced the URI for its messages, absolute or relative to the stream's own. The session gets the id that the
   * URI names; an id of ours (UUID) where it names none that can be stored, or one that another stream has or had.
   * `basePath`: what the proxy puts before the paths of clients, which the upstream may announce with it.
   */
  announce(
    uri: string,
    stream: Sender & { endpointId: WireId; target: string; basePath?: string }
  ): AnnouncedSession {
    const { endpointId, target: streamTarget, basePath = '' } = stream
    const target = resolved(uri, streamTarget)
    const named = target === undefined ? undefined : sessionOfMessage(target, streamTarget)
    const isFree =
      named !== undefined && storedSessionId(named) !== undefined && !this.#has(endpointId, named)
    const sessionId = isFree ? named : randomUUID()
    const keys = new Set(target === undefined ? [] : spellings(target, basePath).map(keyOf))
    const ownKey = keyOfSession(endpointId, sessionId)
    const announcement = { endpointId, sessionId, sender: stream, keys, sessionKey: ownKey }
    for (const key of keys) {
      const others = this.#announced.get(key)
      if (others) others.push(announcement)
      else this.#announced.set(key, [announcement])
    }
    if (ownKey !== undefined) this.#sessions.add(ownKey)
    return announcement
  }

  /** The stream ended. */
  withdraw(session: AnnouncedSession): void {
    const { keys, sessionKey } = session as Announcement
    for (const key of keys) {
      const others = this.#announced.get(key)?.filter(other => other !== session) ?? []
      if (others.length > 0) this.#announced.set(key, others)
      else this.#announced.delete(key)
    }
    if (sessionKey === undefined) return
    this.#sessions.delete(sessionKey)
    const [oldest] = this.#ended.size >= MAX_ENDED ? this.#ended : []
    if (oldest !== undefined) this.#ended.delete(oldest)
    this.#ended.add(sessionKey)
  }

  /**
   * The session whose stream announced the target of a POST; of several that announced the same the latest of the same
   * client. One look into a map, where there are streams.
   */
  sessionOf(target: string, sender: Sender): AnnouncedSession | undefined {
    if (this.#announced.size === 0) return undefined
    const found = this.#announced.get(keyOf(target))
    if (found === undefined || found.length === 1) return found?.[0]
    const { address, userAgent } = sender.client
    return found.findLast(
      ({ sender: { client } }) => client.address === address && client.userAgent === userAgent
    )
  }

  #has(endpointId: WireId, sessionId: WireId): boolean {
    const key = keyOfSession(endpointId, sessionId)
    return key !== undefined && (this.#sessions.has(key) || this.#ended.has(key))
  }
}

/** The targets at which clients may post: with the base path, and without it. */
const spellings = (target: string, base: string): string[] =>
  base !== '' && target.startsWith(`${base}/`) ? [target, target.slice(base.length)] : [target]

/** Path and query of a URI, as clients resolve it; undefined for what is none. */
function resolved(uri: string, streamTarget: string): string | undefined {
  try {
    const { pathname, search } = new URL(uri, `http://stream${streamTarget}`)
    return pathname + search
  } catch {
    return undefined
  }
}

/** Equal for targets that are equivalent by their percent-encoding (RFC 3986 §6.2.2), and short. */
function keyOf(target: string): string {
  const normal = target.includes('%')
    ? target.replace(/%[\da-f]{2}/gi, escape => {
        const character = String.fromCharCode(parseInt(escape.slice(1), 16))
        return /[\w.~-]/.test(character) ? character : escape.toUpperCase()
      })
    : target
  return normal.length > MAX_KEY_LENGTH ? createHash('sha256').update(normal).digest('base64') : normal
}

function keyOfSession(rawEndpointId: WireId, rawSessionId: WireId): string | undefined {
  const [endpointId, sessionId] = [storedEndpointId(rawEndpointId), storedSessionId(rawSessionId)]
  return endpointId === undefined || sessionId === undefined
    ? undefined
    : sessionKey({ endpointId, sessionId })
}
