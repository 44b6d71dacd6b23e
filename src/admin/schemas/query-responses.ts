// Owns the responses to the three queries over sessions, `/api/connections/…`: the one source for server, dashboard and tests.
import Type, { type Static } from 'typebox'
import {
  BytesIn,
  BytesOut,
  CallCount,
  ConversationName,
  ErrorCount,
  Instant,
  NullableText,
  OAuthClient,
  PrincipalKindName,
  PrincipalName,
  UnreadCount
} from './fields.js'

/** A session as `/api/connections/endpoint` lists it. The names of the first six are those of the table `endpoint_logs_v2`. */
export const ConnectionRow = Type.Object({
  id: Type.Integer(),
  endpoint_id: Type.String(),
  session_id: Type.String(),
  transport_type: Type.Integer({ description: '1 = sse, 2 = streamable, 3 = session-less client' }),
  connect_at: Instant,
  disconnect_at: Type.String({ format: 'date-time', description: 'equal to connect_at while open' }),
  reason: Type.Union([Type.String(), Type.Null()], { description: 'null while open' }),
  last_seen_at: Instant,
  request_count: Type.Integer(),
  client_address: Type.String(),
  user_agent: NullableText,
  client_name: NullableText,
  client_version: NullableText,
  protocol_version: NullableText,
  upstream: Type.Union([Type.String(), Type.Null()], {
    description: 'the name of its gateway; null where that is not known, and for session-less clients'
  }),
  principal: PrincipalName,
  principal_kind: PrincipalKindName,
  oauth_client: OAuthClient,
  conversation: ConversationName,
  bytes_in: BytesIn,
  bytes_out: BytesOut,
  call_count: CallCount,
  error_count: ErrorCount,
  unread_count: UnreadCount
})
export type ConnectionRow = Static<typeof ConnectionRow>

/** How many sessions are open now, the response of `/api/connections/endpoint/count`. */
export const ConnectionCount = Type.Object({
  endpoint_id: Type.String({ description: '"all" for the sum over all endpoints' }),
  connect_num: Type.Integer(),
  principal_num: Type.Integer({
    description: 'the different principals of those; a session without one counts as itself'
  }),
  conversation_num: Type.Integer({
    description: 'the different conversations of those; a session without one counts as itself'
  })
})
export type ConnectionCount = Static<typeof ConnectionCount>

/** A minute of an endpoint, as `/api/connections/time-series` lists it. */
export const MinutePoint = Type.Object({
  time: Instant,
  endpoint_id: Type.String(),
  connect_num: Type.Integer({ description: 'open at that time' }),
  opened: Type.Integer({ description: 'within the minute that begins then' }),
  closed: Type.Integer({ description: 'within the minute that begins then' }),
  peak: Type.Union([Type.Integer(), Type.Null()], {
    description: 'the most open at once within that minute; null when the range is longer than 24 h'
  })
})
export type MinutePoint = Static<typeof MinutePoint>
