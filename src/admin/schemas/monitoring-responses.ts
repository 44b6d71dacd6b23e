// Owns the responses and events of the monitoring interface: the one source for server, dashboard and tests. The names of
// the fields are those that existing front ends read.
import Type, { type Static, type TProperties } from 'typebox'
import {
  BytesIn,
  BytesOut,
  CallCount,
  ConversationName,
  ErrorCount,
  Instant,
  NaturalNumber,
  NullableText,
  OAuthClient,
  PrincipalKindName,
  PrincipalName,
  UnreadCount
} from './fields.js'

/** A transport by its name; the numbers are in `Transport`. */
export const TransportName = Type.Union([
  Type.Literal('sse'),
  Type.Literal('streamable'),
  Type.Literal('sessionless')
])
export type TransportName = Static<typeof TransportName>

const info = {
  sessionId: Type.String(),
  clientIP: Type.String(),
  userAgent: Type.String({ description: 'empty if the client sent none' }),
  connectedAt: Instant,
  lastActivity: Instant,
  requestCount: NaturalNumber,
  bytesIn: BytesIn,
  bytesOut: BytesOut,
  callCount: CallCount,
  errorCount: ErrorCount,
  unreadCount: UnreadCount,
  endpointId: Type.String(),
  transport: TransportName,
  upstream: Type.Union([Type.String(), Type.Null()], {
    description: 'the name of its gateway; null where that is not known, and for session-less clients'
  }),
  clientName: NullableText,
  clientVersion: NullableText,
  protocolVersion: NullableText,
  principal: PrincipalName,
  principalKind: PrincipalKindName,
  oauthClient: OAuthClient,
  conversation: ConversationName
}
/** An open session. */
export const ConnectionInfo = Type.Object(info)
export type ConnectionInfo = Static<typeof ConnectionInfo>

/** A session that ended. */
export const EndedConnection = Type.Object({
  ...info,
  disconnectedAt: Instant,
  duration: Type.Integer({ description: 'in ms' }),
  reason: Type.String()
})
export type EndedConnection = Static<typeof EndedConnection>

/** The state of an endpoint or of all, at `/api/mcp/connections` and in the event `mcp_connections_data`. */
export const ConnectionStats = Type.Object({
  activeConnections: NaturalNumber,
  activePrincipals: Type.Integer({
    minimum: 0,
    description: 'the different principals of those; a session without one counts as itself'
  }),
  activeConversations: Type.Integer({
    minimum: 0,
    description: 'the different conversations of those; a session without one counts as itself'
  }),
  totalConnections: Type.Integer({ minimum: 0, description: 'ever opened' }),
  connections: Type.Array(ConnectionInfo, { description: 'open ones, newest first' }),
  lastUpdated: Instant
})
export type ConnectionStats = Static<typeof ConnectionStats>

/** The data of the event `mcp_connection_established`. */
export interface OpenedNotice {
  timestamp: string
  connection: ConnectionInfo
}

/** The data of the event `mcp_connection_closed`; `duration` in ms. */
export type ClosedNotice = { timestamp: string } & Pick<
  EndedConnection,
  'sessionId' | 'endpointId' | 'duration' | 'reason'
>

/** How many sessions are open now. */
export const ActiveCount = Type.Object({ activeConnections: NaturalNumber, timestamp: Instant })

/** A tool as the gateway describes it (MCP 2025-11-25, Tools, "Listing Tools"). */
export const Tool = Type.Object({ name: Type.String() }, { additionalProperties: true })
export type Tool = Static<typeof Tool>

const totals = { active: NaturalNumber, total: NaturalNumber }
const gateway = <Properties extends TProperties>(properties: Properties) =>
  Type.Object({
    toolsCount: Type.Integer({ minimum: 0, description: '0 if the gateway lists none' }),
    endpoint: Type.String({ description: 'where clients connect' }),
    ...properties
  })

/** The gateway, its tools and its sessions, at `/api/mcp/status`. */
export const GatewayStatus = gateway({
  isRunning: Type.Boolean({ description: 'the gateway answers' }),
  tools: Type.Array(Tool),
  config: Type.Object({}, { additionalProperties: true, description: 'settings in use, without secrets' }),
  connections: Type.Object({
    ...totals,
    details: Type.Array(ConnectionInfo, { description: 'open ones, newest first, at most 1000' }),
    history: Type.Array(EndedConnection, {
      description: 'those that ended, of the last 24 hours, newest first, at most --history-limit'
    })
  })
})

/** MCP on a path that no pattern covers. */
export const UncountedPath = Type.Object({
  path: Type.String({ description: 'without what may be an id' }),
  advice: Type.String({ description: 'what to do about it: the flag to give, where one would count it' }),
  requests: NaturalNumber
})
export type UncountedPath = Static<typeof UncountedPath>

/** Whether gateway and ledger work, at `/api/mcp/health`. */
export const GatewayHealth = gateway({
  healthy: Type.Boolean({
    description: 'the gateway answers, the ledger keeps up, and the store can be read'
  }),
  serverRunning: Type.Boolean({ description: 'the gateway answers' }),
  connections: Type.Object(totals),
  uncounted: Type.Optional(
    Type.Array(UncountedPath, {
      description: 'the paths on which MCP passes that no pattern counts, at most 20 a process; absent: none'
    })
  ),
  lastCheck: Instant
})
export type GatewayHealth = Static<typeof GatewayHealth>

/** An instance that writes to the store. */
export const ProxyInfo = Type.Object({
  id: Type.String({ description: 'the same for as long as it keeps its data directory' }),
  lastHeartbeat: Instant,
  lost: Type.Boolean({ description: 'not heard of for longer than --lease' })
})
export type ProxyInfo = Static<typeof ProxyInfo>

/** What the token of a request allows. */
export const TokenAccess = Type.Object({ scope: Type.Union([Type.Literal('read'), Type.Literal('write')]) })
export type TokenAccess = Static<typeof TokenAccess>

/** An error that has a form of its own. */
export const ConnectionNotFound = Type.Object({
  error: Type.Literal('Connection not found'),
  sessionId: Type.String()
})

/** An endpoint that had a session or is drained. */
export const EndpointInfo = Type.Object({
  endpointId: Type.String(),
  activeConnections: NaturalNumber,
  draining: Type.Boolean({ description: 'this proxy lets no new sessions in' })
})
export type EndpointInfo = Static<typeof EndpointInfo>

/** On whose behalf sessions are used, at `/api/mcp/principals`. */
export const PrincipalInfo = Type.Object({
  principal: Type.String(),
  kind: PrincipalKindName,
  activeConnections: NaturalNumber,
  totalConnections: Type.Integer({ minimum: 0, description: 'open or ended; those whose rows are kept' }),
  requestCount: Type.Integer({ minimum: 0, description: 'of those' }),
  lastActivity: Instant,
  endpoints: Type.Array(Type.String(), {
    description: 'their ids, at most 100; the endpoint asked for, where one was'
  })
})
export type PrincipalInfo = Static<typeof PrincipalInfo>

/** How a tool of an endpoint was used, at `/api/mcp/tools/usage`. */
export const ToolUsageInfo = Type.Object({
  time: Type.Union([Instant, Type.Null()], {
    description: 'when the hour or day begins; null with by=total'
  }),
  endpointId: Type.String(),
  tool: Type.String({ description: 'all beyond the first 200 tools of an endpoint and hour are "other"' }),
  calls: NaturalNumber,
  errors: NaturalNumber,
  durationSum: Type.Integer({ minimum: 0, description: 'of all calls, in ms' }),
  durationMax: Type.Integer({ minimum: 0, description: 'in ms' })
})
export type ToolUsageInfo = Static<typeof ToolUsageInfo>

/** A gateway, as all proxies of the store together see it. */
export const UpstreamInfo = Type.Object({
  name: Type.String(),
  url: Type.String(),
  state: Type.Union([Type.Literal('up'), Type.Literal('down'), Type.Literal('removed')], {
    description: 'down: it takes no connections of a proxy; removed: no setting names it any more'
  }),
  draining: Type.Boolean({ description: 'it gets no new sessions' }),
  activeConnections: NaturalNumber,
  requestsInFlight: NaturalNumber,
  streams: NaturalNumber,
  safeToStop: Type.Boolean({
    description: 'it is draining, and no proxy has a session, request or stream there'
  }),
  failingSince: Type.Union([Instant, Type.Null()])
})
export type UpstreamInfo = Static<typeof UpstreamInfo>

/** No proxy has a gateway of this name. */
export const UpstreamNotFound = Type.Object({
  error: Type.Literal('Upstream not found'),
  name: Type.String()
})

/** A gateway is drained, or no longer. */
export const UpstreamDrainState = Type.Object({
  status: Type.Union([Type.Literal('draining'), Type.Literal('accepting')]),
  name: Type.String(),
  timestamp: Instant
})

/** A session was ended. */
export const SessionEnded = Type.Object({
  status: Type.Literal('ended'),
  sessionId: Type.String(),
  timestamp: Instant
})

/** The sessions of an endpoint, or of a principal, were ended. */
export const SessionsEnded = Type.Object({
  status: Type.Literal('ended'),
  endpointId: Type.Optional(Type.String({ description: 'as it was asked for' })),
  principal: Type.Optional(Type.String({ description: 'as it was asked for' })),
  ended: NaturalNumber,
  failed: Type.Array(Type.Object({ sessionId: Type.String(), message: Type.String() }), {
    description: 'those still open, at most 100'
  }),
  timestamp: Instant
})

/** The name of a principal was erased. */
export const PrincipalErased = Type.Object({
  status: Type.Literal('erased'),
  token: Type.String({ description: 'what stands in its place' }),
  sessions: Type.Integer({ minimum: 0, description: 'in so many sessions' }),
  timestamp: Instant
})
export type PrincipalErased = Static<typeof PrincipalErased>

/** What the store had of an endpoint was deleted. */
export const EndpointDeleted = Type.Object({
  status: Type.Literal('deleted'),
  endpointId: Type.String(),
  timestamp: Instant
})
export type EndpointDeleted = Type.Static<typeof EndpointDeleted>

/** Whether an endpoint takes new sessions from now on. */
export const DrainState = Type.Object({
  status: Type.Union([Type.Literal('draining'), Type.Literal('accepting')]),
  endpointId: Type.String(),
  timestamp: Instant
})
export type DrainState = Type.Static<typeof DrainState>
