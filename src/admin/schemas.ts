// Owns what queries take and answer: the one source of their validation, their types and their documentation.
import Type, { type Static, type TSchema } from 'typebox'
import type { SeriesPoint, SessionRow } from '../ledger/store.js'
import { Transport } from '../sessions/observation.js'
import { decodeCursor } from './cursor.js'
import { parseTime, TIME_EXPECTED } from './time.js'

/** A parameter that `parse` reads; what it returns undefined for is refused. `expected` says what to give. */
const parsed = <T>(expected: string, parse: (text: string) => T | undefined) =>
  Type.Decode(
    Type.Refine(Type.String({ description: expected }), text => parse(text) !== undefined),
    text => parse(text)!
  )

const transports = new Map<string, Transport>(
  Object.entries(Transport).flatMap(([name, number]) => [
    [name, number],
    [String(number), number]
  ])
)

const endpointId = Type.String({
  minLength: 1,
  maxLength: 8192,
  description: 'an endpoint id of 1 to 8192 characters, or leave it out for all endpoints'
})
const transport = parsed(`one of ${[...transports.keys()].join(', ')}, or leave it out for all`, text =>
  transports.get(text)
)
const time = parsed(TIME_EXPECTED, parseTime)

/** All parameters are optional, and there are no others. */
const query = <Parameters extends Record<string, TSchema>>(parameters: Parameters) =>
  Type.Partial(Type.Object(parameters), { additionalProperties: false })

export const ConnectionsQuery = query({
  endpoint_id: endpointId,
  start_time: time,
  end_time: time,
  transport,
  limit: Type.Integer({ minimum: 1, maximum: 10_000, description: 'a whole number from 1 to 10000' }),
  cursor: parsed('the cursor of the Link header of the page before, unchanged', decodeCursor)
})

export const CountQuery = query({ endpoint_id: endpointId, transport })

export const SeriesQuery = query({ endpoint_id: endpointId, start_time: time, end_time: time })

/** ISO 8601, UTC, with milliseconds. */
const instant = Type.String({ format: 'date-time' })
const nullableText = Type.Union([Type.String(), Type.Null()])

export const Connection = Type.Object({
  id: Type.Integer(),
  endpoint_id: Type.String(),
  session_id: Type.String(),
  transport_type: Type.Integer({ description: '1 = sse, 2 = streamable, 3 = session-less client' }),
  connect_at: instant,
  disconnect_at: Type.String({ format: 'date-time', description: 'equal to connect_at while open' }),
  reason: Type.Union([Type.String(), Type.Null()], { description: 'null while open' }),
  last_seen_at: instant,
  request_count: Type.Integer(),
  client_address: Type.String(),
  user_agent: nullableText,
  client_name: nullableText,
  client_version: nullableText,
  protocol_version: nullableText
})
export type Connection = Static<typeof Connection>

export const Count = Type.Object({
  endpoint_id: Type.String({ description: '"all" for the sum over all endpoints' }),
  connect_num: Type.Integer()
})

export const Minute = Type.Object({
  time: instant,
  endpoint_id: Type.String(),
  connect_num: Type.Integer({ description: 'open at that time' }),
  opened: Type.Integer({ description: 'within the minute that begins then' }),
  closed: Type.Integer({ description: 'within the minute that begins then' }),
  peak: Type.Union([Type.Integer(), Type.Null()], {
    description: 'the most open at once within that minute; null when the range is longer than 24 h'
  })
})
export type Minute = Static<typeof Minute>

const iso = (at: number): string => new Date(at).toISOString()

export const toConnection = (row: SessionRow): Connection => ({
  id: row.id,
  endpoint_id: row.endpointId,
  session_id: row.sessionId,
  transport_type: row.transport,
  connect_at: iso(row.connectAt),
  disconnect_at: iso(row.disconnectAt),
  reason: row.reason,
  last_seen_at: iso(row.lastSeenAt),
  request_count: row.requestCount,
  client_address: row.clientAddress,
  user_agent: row.userAgent,
  client_name: row.clientName,
  client_version: row.clientVersion,
  protocol_version: row.protocolVersion
})

export const toMinute = (point: SeriesPoint): Minute => ({
  time: iso(point.time),
  endpoint_id: point.endpointId,
  connect_num: point.connectNum,
  opened: point.opened,
  closed: point.closed,
  peak: point.peak
})
