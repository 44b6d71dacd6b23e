// Owns what the monitoring interface answers, for the front ends that exist; its names are theirs.
import Type, { type Static, type TProperties } from 'typebox'

const instant = Type.String({ format: 'date-time', description: 'ISO 8601, UTC' })
const nullableText = Type.Union([Type.String(), Type.Null()])
const count = Type.Integer({ minimum: 0 })

export const TransportName = Type.Union([
  Type.Literal('sse'),
  Type.Literal('streamable'),
  Type.Literal('sessionless')
])

const info = {
  sessionId: Type.String(),
  clientIP: Type.String(),
  userAgent: Type.String({ description: 'empty where the client told none' }),
  connectedAt: instant,
  lastActivity: instant,
  requestCount: count,
  endpointId: Type.String(),
  transport: TransportName,
  clientName: nullableText,
  clientVersion: nullableText,
  protocolVersion: nullableText
}
export const ConnectionInfo = Type.Object(info)
export type ConnectionInfo = Static<typeof ConnectionInfo>

export const EndedConnection = Type.Object({
  ...info,
  disconnectedAt: instant,
  duration: Type.Integer({ description: 'in ms' }),
  reason: Type.String()
})
export type EndedConnection = Static<typeof EndedConnection>

export const ConnectionStats = Type.Object({
  activeConnections: count,
  totalConnections: Type.Integer({ minimum: 0, description: 'ever opened' }),
  connections: Type.Array(ConnectionInfo, { description: 'open ones, newest first' }),
  lastUpdated: instant
})
export type ConnectionStats = Static<typeof ConnectionStats>

export const ActiveCount = Type.Object({ activeConnections: count, timestamp: instant })

/** A tool as the gateway describes it. */
export const Tool = Type.Object({ name: Type.String() }, { additionalProperties: true })
export type Tool = Static<typeof Tool>

const totals = { active: count, total: count }
const gateway = <Properties extends TProperties>(properties: Properties) =>
  Type.Object({
    toolsCount: Type.Integer({ minimum: 0, description: '0 where the gateway tells none' }),
    endpoint: Type.String({ description: 'where clients connect' }),
    ...properties
  })

export const Status = gateway({
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

export const Health = gateway({
  healthy: Type.Boolean({
    description: 'the gateway answers, the ledger keeps up, and the store can be read'
  }),
  serverRunning: Type.Boolean({ description: 'the gateway answers' }),
  connections: Type.Object(totals),
  lastCheck: instant
})

export const ProxyInfo = Type.Object({
  id: Type.String({ description: 'the same for as long as it keeps its data directory' }),
  lastHeartbeat: instant,
  lost: Type.Boolean({ description: 'not heard of for longer than --lease' })
})
export type ProxyInfo = Static<typeof ProxyInfo>

export const Access = Type.Object({ scope: Type.Union([Type.Literal('read'), Type.Literal('write')]) })

/** The one error that has a form of its own. */
export const ConnectionNotFound = Type.Object({
  error: Type.Literal('Connection not found'),
  sessionId: Type.String()
})

export const Endpoint = Type.Object({
  endpointId: Type.String(),
  activeConnections: count,
  draining: Type.Boolean({ description: 'this proxy lets no new sessions in' })
})

export const SessionEnded = Type.Object({
  status: Type.Literal('ended'),
  sessionId: Type.String(),
  timestamp: instant
})

export const EndpointEnded = Type.Object({
  status: Type.Literal('ended'),
  endpointId: Type.String(),
  ended: count,
  failed: Type.Array(Type.Object({ sessionId: Type.String(), message: Type.String() }), {
    description: 'those still open, at most 100'
  }),
  timestamp: instant
})

export const Drain = Type.Object({
  status: Type.Union([Type.Literal('draining'), Type.Literal('accepting')]),
  endpointId: Type.String(),
  timestamp: instant
})
