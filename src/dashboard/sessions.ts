// Owns a session as the dashboard lists it: how both forms of the admin port become one.
import type { ConnectionInfo, TransportName } from '../admin/schemas/monitoring-responses.js'
import type { ConnectionRow } from '../admin/schemas/query-responses.js'
import { texts } from './texts.js'

/** A session, open or ended. All times in epoch ms. */
export interface ListedSession {
  /** As `listKey` makes it. */
  key: string
  endpointId: string
  sessionId: string
  transport: TransportName
  connectedAt: number
  lastSeenAt: number
  /** Null while it is open. */
  ended: { at: number; reason: string } | null
  requestCount: number
  /** That its client sent, and was sent. */
  bytesIn: number
  bytesOut: number
  /** Calls of tools. */
  callCount: number
  errorCount: number
  /** Responses that could not be read: errors or not. */
  unreadCount: number
  address: string
  userAgent: string
  clientName: string | null
  clientVersion: string | null
  protocolVersion: string | null
  /** The name of its gateway, where that is known. */
  upstream: string | null
  /** On whose behalf it is used, and how that is known. */
  principal: string | null
  principalKind: 'header' | 'oauth' | 'key' | null
  oauthClient: string | null
  conversation: string | null
}

/** The key of a session in the lists; stored ids hold no line ends. */
export const listKey = (endpointId: string, sessionId: string): string => `${endpointId}\n${sessionId}`

const transportOf: Record<number, TransportName> = { 1: 'sse', 2: 'streamable', 3: 'sessionless' }

/** From the monitoring interface: an open session. */
export const fromInfo = (info: ConnectionInfo): ListedSession => ({
  key: listKey(info.endpointId, info.sessionId),
  endpointId: info.endpointId,
  sessionId: info.sessionId,
  transport: info.transport,
  connectedAt: Date.parse(info.connectedAt),
  lastSeenAt: Date.parse(info.lastActivity),
  ended: null,
  requestCount: info.requestCount,
  bytesIn: info.bytesIn,
  bytesOut: info.bytesOut,
  callCount: info.callCount,
  errorCount: info.errorCount,
  unreadCount: info.unreadCount,
  address: info.clientIP,
  userAgent: info.userAgent,
  clientName: info.clientName,
  clientVersion: info.clientVersion,
  protocolVersion: info.protocolVersion,
  upstream: info.upstream,
  principal: info.principal,
  principalKind: info.principalKind,
  oauthClient: info.oauthClient,
  conversation: info.conversation
})

/** From the queries: a session of the history, open or ended. */
export const fromRow = (row: ConnectionRow): ListedSession => ({
  key: listKey(row.endpoint_id, row.session_id),
  endpointId: row.endpoint_id,
  sessionId: row.session_id,
  transport: transportOf[row.transport_type] ?? 'streamable',
  connectedAt: Date.parse(row.connect_at),
  lastSeenAt: Date.parse(row.last_seen_at),
  ended: row.reason === null ? null : { at: Date.parse(row.disconnect_at), reason: row.reason },
  requestCount: row.request_count,
  bytesIn: row.bytes_in,
  bytesOut: row.bytes_out,
  callCount: row.call_count,
  errorCount: row.error_count,
  unreadCount: row.unread_count,
  address: row.client_address,
  userAgent: row.user_agent ?? '',
  clientName: row.client_name,
  clientVersion: row.client_version,
  protocolVersion: row.protocol_version,
  upstream: row.upstream,
  principal: row.principal,
  principalKind: row.principal_kind,
  oauthClient: row.oauth_client,
  conversation: row.conversation
})

/** What a client is called: its name, or its user agent if it gave no name. */
export const clientLabel = ({ clientName, userAgent }: ListedSession): string =>
  clientName ?? (userAgent === '' ? texts.unknownClient : userAgent)

/** What a principal is called where there is little room: without the issuer of its token. Empty where there is none. */
export const personLabel = ({ principal }: ListedSession): string =>
  principal?.replace(/^https?:\/\/[^#]*#(?=.)/, '') ?? ''

/** For `sort`. */
export const newestFirst = (a: ListedSession, b: ListedSession): number =>
  b.connectedAt - a.connectedAt || (a.key < b.key ? -1 : 1)
