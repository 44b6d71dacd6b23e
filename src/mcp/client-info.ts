// Owns who a client says it is: names and versions out of MCP messages, in the form in which they are stored.
import { memberOf } from '../util/json.js'

/** Null: not known. */
export interface ClientInfo {
  clientName: string | null
  clientVersion: string | null
  /** The negotiated revision of MCP, such as `2025-11-25`; of a session-less client the one of its requests. */
  protocolVersion: string | null
}

export const unknownClient: ClientInfo = { clientName: null, clientVersion: null, protocolVersion: null }

export const isUnknownClient = ({ clientName, protocolVersion }: ClientInfo): boolean =>
  clientName === null && protocolVersion === null

const MAX_LENGTH = 255
const REVISION = /^[\x21-\x7e]{1,32}$/

/** `clientInfo` of an `initialize` request or of a `_meta`: `{name, version}`, as a stranger wrote it. */
export function readClientInfo(clientInfo: unknown): ClientInfo {
  const clientName = storable(memberOf(clientInfo, 'name'))
  if (clientName === null) return unknownClient
  return { ...unknownClient, clientName, clientVersion: storable(memberOf(clientInfo, 'version')) }
}

export function revisionOf(protocolVersion: unknown): string | null {
  return typeof protocolVersion === 'string' && REVISION.test(protocolVersion) ? protocolVersion : null
}

/** Of two things known of one client, in whichever order: what is known beats what is not, then what sorts first. */
export function mergeClientInfo(a: ClientInfo, b: ClientInfo): ClientInfo {
  const { clientName, clientVersion } = precedes(nameOf(b), nameOf(a)) ? b : a
  const protocolVersion = precedes(b.protocolVersion, a.protocolVersion)
    ? b.protocolVersion
    : a.protocolVersion
  return { clientName, clientVersion, protocolVersion }
}

export const storedUserAgent = (userAgent: string | undefined): string | null =>
  userAgent?.slice(0, MAX_LENGTH) ?? null
const nameOf = ({ clientName, clientVersion }: ClientInfo): string | null =>
  clientName === null ? null : `${clientName}\n${clientVersion ?? ''}`

const precedes = (a: string | null, b: string | null): boolean => a !== null && (b === null || a < b)

function storable(text: unknown): string | null {
  // A lone surrogate has no UTF-8, in which databases keep it.
  return typeof text === 'string' && text !== ''
    ? text.slice(0, MAX_LENGTH).replaceAll(/\p{Surrogate}/gu, '\ufffd')
    : null
}
