// Owns who a client says it is: names and versions from MCP messages, in the form in which they are stored.
import { memberOf } from '../util/json.js'
import { utf8IfValid } from '../util/utf8.js'

/** What is known of a client's program; null: not known. */
export interface ClientInfo {
  clientName: string | null
  clientVersion: string | null
  /** The negotiated revision of MCP, such as `2025-11-25`; for a session-less client the one of its requests. */
  protocolVersion: string | null
}

/** A client of whom nothing is known. */
export const unknownClient: ClientInfo = { clientName: null, clientVersion: null, protocolVersion: null }

/** Whether there is nothing to report of the client. */
export const isUnknownClient = ({ clientName, protocolVersion }: ClientInfo): boolean =>
  clientName === null && protocolVersion === null

/** The width of the columns (`schema.sql`); longer texts are cut. */
const MAX_LENGTH = 255
/** Any revision that fits its column: drafts and revisions to come are stored too. */
const STORABLE_REVISION = /^[\x21-\x7e]{1,32}$/

/**
 * Reads the `clientInfo` of an `initialize` request (MCP 2025-11-25, "Initialization") or of a `_meta` (MCP 2026-07-28):
 * `{name, version}`, or whatever a stranger put there.
 */
export function readClientInfo(clientInfo: unknown): ClientInfo {
  const clientName = storable(memberOf(clientInfo, 'name'))
  if (clientName === null) return unknownClient
  return { ...unknownClient, clientName, clientVersion: storable(memberOf(clientInfo, 'version')) }
}

/** A `protocolVersion` as it is stored; null for what is none. */
export function revisionOf(protocolVersion: unknown): string | null {
  return typeof protocolVersion === 'string' && STORABLE_REVISION.test(protocolVersion)
    ? protocolVersion
    : null
}

/**
 * Merges two reports on one client. The order does not matter: what is known is taken before what is not, then what sorts
 * first.
 */
export function mergeClientInfo(a: ClientInfo, b: ClientInfo): ClientInfo {
  const { clientName, clientVersion } = precedes(nameOf(b), nameOf(a)) ? b : a
  const protocolVersion = precedes(b.protocolVersion, a.protocolVersion)
    ? b.protocolVersion
    : a.protocolVersion
  return { clientName, clientVersion, protocolVersion }
}

/** Whether two reports say the same. */
export const isSameClientInfo = (a: ClientInfo, b: ClientInfo): boolean =>
  a.clientName === b.clientName &&
  a.clientVersion === b.clientVersion &&
  a.protocolVersion === b.protocolVersion

/** A `User-Agent` as it is stored. */
export const storedUserAgent = (userAgent: string | undefined): string | null =>
  userAgent === undefined ? null : truncated(utf8IfValid(userAgent))

const nameOf = ({ clientName, clientVersion }: ClientInfo): string | null =>
  clientName === null ? null : `${clientName}\n${clientVersion ?? ''}`

const precedes = (a: string | null, b: string | null): boolean => a !== null && (b === null || a < b)

const storable = (text: unknown): string | null =>
  typeof text === 'string' && text !== '' ? truncated(text) : null

/**
 * As much as the column holds. A lone surrogate cannot be written as UTF-8, which is what databases store, and SQLite reads a
 * text up to its first NUL.
 */
const truncated = (text: string): string =>
  text.slice(0, MAX_LENGTH).replaceAll(/[\0\p{Surrogate}]/gu, '\ufffd')
