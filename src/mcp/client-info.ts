// Owns who a client says it is: names and versions from MCP messages, in the form in which they are stored.
import { memberOf } from '../util/json.js'

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

/** A `User-Agent` as it is stored. */
export const storedUserAgent = (userAgent: string | undefined): string | null =>
  userAgent?.slice(0, MAX_LENGTH) ?? null

const nameOf = ({ clientName, clientVersion }: ClientInfo): string | null =>
  clientName === null ? null : `${clientName}\n${clientVersion ?? ''}`

const precedes = (a: string | null, b: string | null): boolean => a !== null && (b === null || a < b)

function storable(text: unknown): string | null {
  // A lone surrogate cannot be written as UTF-8, which is what databases store.
  return typeof text === 'string' && text !== ''
    ? text.slice(0, MAX_LENGTH).replaceAll(/\p{Surrogate}/gu, '\ufffd')
    : null
}
