// Owns what routes take and the three queries answer: the one source of validation, types and documentation.
import Type, { type Static, type TSchema } from 'typebox'
import { Transport } from '../../mcp/transports.js'
import { decodeCursor } from './cursor.js'
import { parseTime, TIME_EXPECTED } from './query-time.js'

/** A parameter that `parse` reads; what it returns undefined for is refused. `expected` says what to give. */
const parsed = <T>(expected: string, parse: (text: string) => T | undefined, options = {}) =>
  Type.Decode(
    Type.Refine(Type.String({ description: expected, ...options }), text => parse(text) !== undefined),
    text => parse(text)!
  )

const transports = new Map<string, Transport>(
  Object.entries(Transport).flatMap(([name, number]) => [
    [name, number],
    [String(number), number]
  ])
)

const id = { minLength: 1, maxLength: 8192 }
const endpointId = Type.String({
  ...id,
  description: 'an endpoint id of 1 to 8192 characters, or leave it out for all endpoints'
})
const limit = Type.Integer({ minimum: 1, maximum: 10_000, description: 'a whole number from 1 to 10000' })
const cursor = parsed('the cursor of the Link header of the page before, unchanged', decodeCursor)
const transport = parsed(
  `one of ${[...transports.keys()].join(', ')}, or leave it out for all`,
  text => transports.get(text),
  { enum: [...transports.keys()] }
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
  limit,
  cursor
})

export const CountQuery = query({ endpoint_id: endpointId, transport })

export const SeriesQuery = query({ endpoint_id: endpointId, start_time: time, end_time: time })

/** The queries of the monitoring interface. */
export const EndpointQuery = query({ endpointId })
export const StatsQuery = query({ endpointId, limit, cursor })

export const SessionParams = Type.Object({
  sessionId: Type.String({ ...id, description: 'a session id of 1 to 8192 characters' })
})
/** An endpoint that may have sessions. */
export const OneEndpoint = Type.Object({
  endpointId: Type.String({
    ...id,
    pattern: '^[!-~]+$',
    description: 'an endpoint id of 1 to 8192 visible ASCII characters'
  })
})

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

export const ErrorBody = Type.Object({
  statusCode: Type.Integer(),
  error: Type.String(),
  message: Type.String({ description: 'what to change' })
})

/** The answers of a route: what it says when all is well, and the form of everything else. */
export const answers = <Answers extends Record<number, object>>(good: Answers) => ({
  ...good,
  '4xx': ErrorBody,
  '5xx': ErrorBody
})

/** A long answer in each of its forms. */
export const exported = (item: TSchema) => ({
  description: 'JSON, or by `Accept` a line an item of CSV or NDJSON, then without a limit of size',
  content: {
    'application/json': { schema: Type.Array(item) },
    'text/csv': { schema: Type.String() },
    'application/x-ndjson': { schema: Type.String() }
  }
})
