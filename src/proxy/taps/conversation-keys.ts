// Owns to which conversation a request belongs, as its header fields or the `_meta` of its body say.
import type { IncomingHttpHeaders } from 'node:http'
import { type ConversationKey, storedConversation } from '../../mcp/conversation.js'
import type { StoredId } from '../../mcp/stored-ids.js'
import { text } from '../http/headers.js'
import type { RequestBody } from './request-body.js'

/** The name of the baggage in `_meta` (SEP-414) is that of the header field (W3C Baggage, "Header Name"). */
const BAGGAGE = 'baggage'

/** The header fields of a request. */
interface RequestHead {
  headers: IncomingHttpHeaders
}

interface Key extends ConversationKey {
  /** A body without these bytes has nothing of that name. */
  needle: Buffer
}

/** Finds the conversation of requests: the first key that a request has counts. */
export class ConversationKeys {
  readonly #keys: readonly Key[]

  constructor(keys: readonly ConversationKey[]) {
    this.#keys = keys.map(key => ({ ...key, needle: needleOf(key) }))
  }

  /** In its stored form; undefined for a request that says nothing of it. */
  of({ headers }: RequestHead, body: RequestBody | undefined): StoredId | undefined {
    for (const key of this.#keys) {
      const found = this.#read(key, headers, body)
      if (found) return storedConversation(found)
    }
    return undefined
  }

  #read(
    { from, name, needle }: Key,
    headers: IncomingHttpHeaders,
    body: RequestBody | undefined
  ): string | undefined {
    if (from === 'header') return text(headers[name])
    const inMeta = (path: string): string | undefined => textOf(memberAt(body?.metaWith(needle), path))
    if (from === 'meta') return inMeta(name)
    return baggageMember(text(headers[BAGGAGE]), name) ?? baggageMember(inMeta(BAGGAGE), name)
  }
}

/** The end of a name, behind what some clients escape (a slash) or write in another object (a dot). */
function needleOf({ from, name }: ConversationKey): Buffer {
  const last = from === 'baggage' ? BAGGAGE : (/[^/.]*$/.exec(name)?.[0] ?? '')
  return Buffer.from(`${last}"`)
}

/** A member by its name, or by the names of the objects around it with dots between them; any of the names may have dots. */
function memberAt(value: unknown, path: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  const members = value as Record<string, unknown>
  if (Object.hasOwn(members, path)) return members[path]
  for (let dot = path.indexOf('.'); dot !== -1; dot = path.indexOf('.', dot + 1)) {
    const name = path.slice(0, dot)
    const found = Object.hasOwn(members, name) ? memberAt(members[name], path.slice(dot + 1)) : undefined
    if (found !== undefined) return found
  }
  return undefined
}

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' ? value : Number.isSafeInteger(value) ? String(value) : undefined

/** A member of a baggage (W3C Baggage, "Header Content"): `name=value;property,name=value`, percent-encoded. */
function baggageMember(baggage: string | undefined, name: string): string | undefined {
  for (const member of baggage?.split(',') ?? []) {
    const equals = member.indexOf('=')
    if (equals === -1 || member.slice(0, equals).trim() !== name) continue
    const value = member
      .slice(equals + 1)
      .split(';', 1)[0]!
      .trim()
    try {
      return decodeURIComponent(value)
    } catch {
      return value
    }
  }
  return undefined
}
