// Owns the parameters that routes take, in query and path: the one source of their validation, types and documentation.
import Type, { type TSchema } from 'typebox'
import type { EventKind } from '../../ledger/event-port.js'
import { Transport } from '../../mcp/transports.js'
import { MINUTE_MS, SECOND_MS } from '../../util/time.js'
import { decodeCursor, decodePrincipalCursor } from './cursor.js'
import { eventTypes } from './event-responses.js'
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
const cursor = parsed('the cursor in the Link header of the previous page, unchanged', decodeCursor)
const transport = parsed(
  `one of ${[...transports.keys()].join(', ')}, or leave it out for all`,
  text => transports.get(text),
  { enum: [...transports.keys()] }
)
const upstream = Type.String({
  minLength: 1,
  maxLength: 128,
  description: 'the name of a gateway, or leave it out for all'
})
const principal = Type.String({ ...id, description: 'the name of a principal, or leave it out for all' })
const conversation = Type.String({ ...id, description: 'the key of a conversation, or leave it out for all' })
const principalCursor = parsed(
  'the cursor in the Link header of the previous page, unchanged',
  decodePrincipalCursor
)
const time = parsed(TIME_EXPECTED, parseTime)

/** The longest wait for events. Chosen: proxies on the way cut a request that waits longer. */
const MAX_WAIT_MS = MINUTE_MS
const unitsMs: Record<string, number> = { ms: 1, s: SECOND_MS, m: MINUTE_MS }
const wait = parsed('a time of at most 60s with its unit, such as 30s, or 0', text => {
  if (text === '0') return 0
  const [, digits, unit = ''] = /^(\d{1,5})(ms|s|m)$/.exec(text) ?? []
  const ms = Number(digits) * (unitsMs[unit] ?? NaN)
  return ms <= MAX_WAIT_MS ? ms : undefined
})
const kindsByType = new Map(
  Object.entries(eventTypes).map(([kind, type]): [string, EventKind] => [type, kind as EventKind])
)
const types = parsed(
  `one or more of ${[...kindsByType.keys()].join(', ')}, with commas between them, or leave it out for all`,
  text => {
    const kinds = text.split(',').map(type => kindsByType.get(type.trim()))
    return kinds.every(kind => kind !== undefined) ? [...new Set(kinds)] : undefined
  }
)
const eventCursor = Type.String({
  minLength: 1,
  maxLength: 4096,
  description:
    'the cursor of an earlier response, unchanged; now, for new events only; or leave it out for all events that are kept'
})
/** The form of an export, in place of `Accept`; and how a browser or a spreadsheet takes it. */
const exportParameters = {
  format: Type.Enum(['json', 'csv', 'ndjson'], { description: 'in place of Accept: json, csv or ndjson' }),
  bom: parsed('true, for a spreadsheet that needs a byte order mark before UTF-8 in CSV, or false', text =>
    text === 'true' ? 'bom' : text === 'false' ? 'none' : undefined
  ),
  filename: Type.String({
    minLength: 1,
    maxLength: 200,
    pattern: '^[^\\u0000-\\u001f\\u007f"\\\\/:*?<>|\\ud800-\\udfff]+$',
    description: 'the name under which browsers save the response'
  })
}

/** All parameters are optional, and there are no others. */
const query = <Parameters extends Record<string, TSchema>>(parameters: Parameters) =>
  Type.Partial(Type.Object(parameters), { additionalProperties: false })

/** Of `/api/connections/endpoint`. */
export const ConnectionsParameters = query({
  endpoint_id: endpointId,
  start_time: time,
  end_time: time,
  transport,
  upstream,
  principal,
  conversation,
  limit,
  cursor,
  ...exportParameters
})

/** Of `/api/connections/endpoint/count`. */
export const CountParameters = query({
  endpoint_id: endpointId,
  transport,
  upstream,
  principal,
  conversation
})

/** Of `/api/connections/time-series`. */
export const SeriesParameters = query({
  endpoint_id: endpointId,
  start_time: time,
  end_time: time,
  ...exportParameters
})

/** Of `/api/events`. */
export const EventsParameters = query({ after: eventCursor, limit, wait, endpointId, types })

/** Of the monitoring interface: one endpoint, or all. */
export const EndpointParameters = query({ endpointId })
/** Of the pages of open sessions, `/api/mcp/connections`. */
export const StatsParameters = query({ endpointId, upstream, principal, conversation, limit, cursor })
/** Of the pages of principals. */
export const PrincipalsParameters = query({ endpointId, limit, cursor: principalCursor })

/** Of `/api/mcp/tools/usage`. */
export const ToolUsageParameters = query({
  endpointId,
  start_time: time,
  end_time: time,
  by: Type.Union([Type.Literal('hour'), Type.Literal('day'), Type.Literal('total')], {
    description: 'hour, day (UTC) or total; hour if it is left out'
  })
})

/** Of a path that names a session. */
export const SessionPath = Type.Object({
  sessionId: Type.String({ ...id, description: 'a session id of 1 to 8192 characters' })
})
/** Of a path that names a gateway. */
export const UpstreamPath = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 128, description: 'the name of a gateway' })
})
/** An endpoint id that can be stored, in words. */
export const ENDPOINT_ID_EXPECTED = 'an endpoint id of 1 to 8192 characters, none of them a control character'
/** Of a path or query that must name one endpoint, by an id that can be stored. */
export const OneEndpoint = Type.Object({
  endpointId: Type.String({
    ...id,
    // What `storedEndpointId` takes; no text that UTF-8 holds has a lone surrogate.
    pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]+$',
    description: ENDPOINT_ID_EXPECTED
  })
})
/** Of a query that must name an endpoint, a principal, or both. */
export const EndpointOrPrincipal = query({ endpointId: OneEndpoint.properties.endpointId, principal })
/** Of a path or query that must name one principal. */
export const OnePrincipal = Type.Object({
  principal: Type.String({ ...id, description: 'the name of a principal, of 1 to 8192 characters' })
})
