// Owns path patterns: how they are written, which paths a pattern stands for, and which endpoint such a path names.
import type { StoredId, WireId } from './stored-ids.js'

/** The endpoint id of a pattern that has no place for one. */
export const ONLY_ENDPOINT = 'default'

/** A place for an endpoint id: `{name}` is one segment of a path, `{name+}` one or more. */
const PLACE = /\{\w+(\+)?\}/
/** Documents about the server, such as those of OAuth (RFC 8615): no endpoint's id stands there. */
const WELL_KNOWN = '/.well-known/'
/** What an encoded slash becomes: it separates no segments. No id that holds this itself can be stored. */
const SLASH = '\0'
/** What stands for any id when patterns are compared; no path holds it, so no text of a pattern is like it. */
const ANY_ID = '\u0001'

/**
 * The one spelling that a path is matched in: decoded, without doubled slashes and without one at the end, for upstreams
 * serve these as the same path. Undefined for what is no UTF-8.
 */
export function canonicalPath(path: string): string | undefined {
  if (!ODD_SPELLING.test(path)) return path
  const escaped = path.replaceAll(/[\x80-\xff]/g, byte => `%${byte.charCodeAt(0).toString(16)}`)
  const text = /%00/.test(escaped) ? undefined : decode(escaped.replaceAll(/%2f/gi, '%00'))
  return text === undefined ? undefined : withPlainSlashes(text)
}

/** What `canonicalPath` changes. Node reads the bytes of a target as Latin-1. */
const ODD_SPELLING = /[%\x80-\xff]|\/\/|.\/$/

/** A canonical path as servers see it that decode before they split; undefined where they see the same. */
export const splitAtEncodedSlashes = (path: string): string | undefined =>
  path.includes(SLASH) ? withPlainSlashes(path.replaceAll(SLASH, '/')) : undefined

/** With the letters A to Z as small ones: for upstreams that ignore case. */
export const foldCase = (path: string): string => path.replaceAll(/[A-Z]+/g, letters => letters.toLowerCase())

const withPlainSlashes = (text: string): string => text.replaceAll(/\/{2,}/g, '/').replace(/(.)\/$/, '$1')

/**
 * Decodes percent-escapes as axum, the HTTP library of rmcp, does: a broken escape stays as it is. Undefined for what is no
 * UTF-8, which axum answers with 400.
 */
export function decode(text: string): string | undefined {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text.replace(/%(?![\da-f]{2})/gi, '%25'))
  } catch {
    return undefined
  }
}

/** A pattern as it is written in a URL. */
const asWritten = (pattern: string): string => pattern.replaceAll(/[^\x21-\x7e]+/g, encodeURIComponent)

/** The patterns of a setting, which are separated by commas. */
export const patternsIn = (setting: string): PathPattern[] =>
  setting.split(',').map(text => new PathPattern(text.trim()))

/** Why a pattern would match nothing, or not what it seems to, and what to write; undefined if it is right. */
export function faultOf(pattern: string): string | undefined {
  const quoted = JSON.stringify(pattern)
  if (!pattern.startsWith('/')) return `begin each path with a slash, such as /mcp in place of ${quoted}`
  // As Express, Flask and Next.js write it.
  const [foreign, name] = /(?<=\/):(\w+)|[<[]\W*(?:\w+:)?(\w+)[\]>]/.exec(pattern)?.filter(Boolean) ?? []
  if (foreign !== undefined) return `write {${name!}} in place of ${foreign} in ${quoted}`
  if (pattern.includes('*')) return `write {id}, or {id+} for several segments, in place of * in ${quoted}`
  if (/[\s?#\\\p{Cc}]/u.test(pattern)) return `leave out spaces, \\, ? and # in ${quoted}: a path has none`
  const [before = '', many, after = '', ...more] = pattern.split(PLACE)
  if (more.length > 0) return `put only one part of ${quoted} in braces: the endpoint id`
  if (/[{}]/.test(before + after)) return `write the part in braces as {id} or {id+} in ${quoted}`
  if (many !== undefined && (!before.endsWith('/') || /^[^/]/.test(after)))
    return `put {id+} between slashes in ${quoted}: it stands for whole segments`
  if (hasDotSegment(pattern)) return `leave out . and .. in ${quoted}: URLs are resolved without them`
  if (canonicalPath(asWritten(before + after)) === undefined) return `write UTF-8 in ${quoted}`
  return undefined
}

/** Whether the path holds `.` or `..`: every URL with it is resolved to another path (RFC 3986 §5.2.4). */
export const hasDotSegment = (path: string): boolean => /\/\.\.?(\/|$)/.test(path)

/** A pattern such as `/mcp`, `/stream/{endpoint_id}` or `/mcp/{path+}`. */
export class PathPattern {
  /** As it was written. */
  readonly text: string
  /** It has a place for an endpoint id. */
  readonly hasPlace: boolean
  readonly #many: boolean
  /** The text before and after the id, canonical. */
  readonly #before: string
  readonly #after: string
  readonly #foldedBefore: string
  readonly #foldedAfter: string

  /** `text`: one of which `faultOf` says nothing. */
  constructor(text: string) {
    this.text = text
    const [before = '', many, after] = asWritten(text).split(PLACE)
    this.hasPlace = after !== undefined
    this.#many = many !== undefined
    const whole = canonicalPath(`${before}${ANY_ID}${after ?? ''}`) ?? ''
    this.#before = this.hasPlace ? whole.slice(0, whole.indexOf(ANY_ID)) : (canonicalPath(before) ?? '')
    this.#after = whole.slice(whole.indexOf(ANY_ID) + ANY_ID.length)
    this.#foldedBefore = foldCase(this.#before)
    this.#foldedAfter = foldCase(this.#after)
  }

  /** The path of an endpoint, to be sent. It may lead elsewhere: `Routes` looks. */
  pathOf(endpointId: WireId | StoredId): string {
    const id = this.#many
      ? endpointId.split('/').map(encodeURIComponent).join('/')
      : encodeURIComponent(endpointId)
    return asWritten(this.text).replace(PLACE, () => id)
  }

  /** The endpoint that a canonical path names; undefined where the pattern does not stand for the path. */
  endpointOf(path: string): WireId | undefined {
    return this.#read(path, path, this.#before, this.#after)
  }

  /** The same, whatever the case of the pattern's own letters. `folded`: the path as `foldCase` makes it. */
  endpointIgnoringCase(path: string, folded: string): WireId | undefined {
    return this.#read(path, folded, this.#foldedBefore, this.#foldedAfter)
  }

  /** Whether this pattern stands for all paths that the other one stands for. */
  covers(other: PathPattern): boolean {
    return other.#examples().every(path => this.endpointOf(path) !== undefined)
  }

  #read(path: string, compared: string, before: string, after: string): WireId | undefined {
    if (!this.hasPlace) return compared === before ? ONLY_ENDPOINT : undefined
    const end = path.length - after.length
    if (end <= before.length || !compared.startsWith(before) || !compared.endsWith(after)) return undefined
    const id = path.slice(before.length, end)
    if (path.startsWith(WELL_KNOWN)) return undefined
    if (!this.#many && id.includes('/')) return undefined
    return id.includes(SLASH) ? idWithSlashes(id) : id
  }

  /** Paths that stand for all that the pattern matches. */
  #examples(): string[] {
    if (!this.hasPlace) return [this.#before]
    const ids = this.#many ? [ANY_ID, `${ANY_ID}/${ANY_ID}`] : [ANY_ID]
    return ids.map(id => this.#before + id + this.#after)
  }
}

/** An id with slashes that were encoded: doubled ones and those at its ends tell no endpoints apart. */
const idWithSlashes = (id: string): string | undefined =>
  id
    .replaceAll(SLASH, '/')
    .replaceAll(/\/{2,}/g, '/')
    .replaceAll(/^\/|\/$/g, '') || undefined
