// Owns how rows of the store become responses of the queries and of the monitoring interface, masked with --mask.
import type {
  FeedChange,
  PrincipalRow,
  SeriesPoint,
  SessionRow,
  ToolUsage,
  UpstreamState
} from '../ledger/store-port.js'
import { transportNames } from '../mcp/transports.js'
import type { EpochMs } from '../util/time.js'
import type { Mask } from './access/mask.js'
import type {
  ClosedNotice,
  ConnectionInfo,
  EndedConnection,
  OpenedNotice,
  PrincipalInfo,
  ToolUsageInfo,
  UpstreamInfo
} from './schemas/monitoring-responses.js'
import type { ConnectionRow, MinutePoint } from './schemas/query-responses.js'

/** ISO 8601, UTC, with milliseconds. */
export const iso = (at: EpochMs): string => new Date(at).toISOString()

/** A session in the queries. */
export const toConnection = (row: SessionRow, mask: Mask): ConnectionRow => ({
  id: row.id,
  endpoint_id: row.endpointId,
  session_id: mask.sessionId(row.sessionId),
  transport_type: row.transport,
  connect_at: iso(row.connectAt),
  disconnect_at: iso(row.disconnectAt),
  reason: row.reason,
  last_seen_at: iso(row.lastSeenAt),
  request_count: row.requestCount,
  client_address: mask.address(row.clientAddress),
  user_agent: row.userAgent,
  client_name: row.clientName,
  client_version: row.clientVersion,
  protocol_version: row.protocolVersion,
  upstream: row.upstream,
  principal: mask.name(row.principal),
  principal_kind: row.principalKind,
  oauth_client: mask.name(row.oauthClient),
  conversation: mask.name(row.conversation),
  bytes_in: row.bytesIn,
  bytes_out: row.bytesOut,
  call_count: row.callCount,
  error_count: row.errorCount,
  unread_count: row.unreadCount
})

/** A minute of a time series. */
export const toMinute = (point: SeriesPoint): MinutePoint => ({
  time: iso(point.time),
  endpoint_id: point.endpointId,
  connect_num: point.connectNum,
  opened: point.opened,
  closed: point.closed,
  peak: point.peak
})

/** A gateway in the monitoring interface. */
export const toUpstream = (state: UpstreamState): UpstreamInfo => ({
  name: state.name,
  url: state.url,
  state: !state.isListed ? 'removed' : state.failingSince === null ? 'up' : 'down',
  draining: state.isDraining,
  activeConnections: state.connectNum,
  requestsInFlight: state.requests,
  streams: state.streams,
  safeToStop: state.isSafeToStop,
  failingSince: state.failingSince === null ? null : iso(state.failingSince)
})

/** A session in the monitoring interface. */
export const toInfo = (row: SessionRow, mask: Mask): ConnectionInfo => ({
  sessionId: mask.sessionId(row.sessionId),
  clientIP: mask.address(row.clientAddress),
  userAgent: row.userAgent ?? '',
  connectedAt: iso(row.connectAt),
  lastActivity: iso(row.lastSeenAt),
  requestCount: row.requestCount,
  bytesIn: row.bytesIn,
  bytesOut: row.bytesOut,
  callCount: row.callCount,
  errorCount: row.errorCount,
  unreadCount: row.unreadCount,
  endpointId: row.endpointId,
  transport: transportNames[row.transport],
  upstream: row.upstream,
  clientName: row.clientName,
  clientVersion: row.clientVersion,
  protocolVersion: row.protocolVersion,
  principal: mask.name(row.principal),
  principalKind: row.principalKind,
  oauthClient: mask.name(row.oauthClient),
  conversation: mask.name(row.conversation)
})

/** A principal in the monitoring interface. */
export const toPrincipal = (row: PrincipalRow, mask: Mask): PrincipalInfo => ({
  principal: mask.name(row.principal),
  kind: row.kind,
  activeConnections: row.activeNum,
  totalConnections: row.sessionNum,
  requestCount: row.requestNum,
  lastActivity: iso(row.lastSeenAt),
  endpoints: row.endpointIds
})

/** How a tool was used, in the monitoring interface. */
export const toToolUsage = (usage: ToolUsage): ToolUsageInfo => ({
  time: usage.startAt === null ? null : iso(usage.startAt),
  endpointId: usage.endpointId,
  tool: usage.tool,
  calls: usage.calls,
  errors: usage.errors,
  durationSum: usage.durationSumMs,
  durationMax: usage.durationMaxMs
})

/** A session that ended, in the monitoring interface. */
export const toEnded = (row: SessionRow, mask: Mask): EndedConnection => ({
  ...toInfo(row, mask),
  disconnectedAt: iso(row.disconnectAt),
  duration: row.disconnectAt - row.connectAt,
  reason: row.reason!
})

/** The event of live monitoring for an opening or end: its name and its data. */
export type Notice =
  | [name: 'mcp_connection_established', data: OpenedNotice]
  | [name: 'mcp_connection_closed', data: ClosedNotice]

/** The notice of a change. `timestamp`: when it is sent, in ISO 8601. */
export function toNotice(change: FeedChange, mask: Mask, timestamp: string): Notice {
  if (change.kind === 'opened')
    return ['mcp_connection_established', { timestamp, connection: toInfo(change.session, mask) }]
  const { sessionId, endpointId, connectAt, disconnectAt, reason } = change
  const duration = disconnectAt - connectAt
  return [
    'mcp_connection_closed',
    { timestamp, sessionId: mask.sessionId(sessionId), duration, reason, endpointId }
  ]
}
