// Owns events as `/api/events` and webhooks tell them: CloudEvents 1.0 in JSON; the one source for server and tests.
import Type, { type Static } from 'typebox'
import {
  ConversationName,
  Instant,
  NullableText,
  OAuthClient,
  PrincipalKindName,
  PrincipalName
} from './fields.js'
import { TransportName } from './monitoring-responses.js'

/** The `type` of events, by kind. */
export const eventTypes = {
  opened: 'mcp.session.opened',
  closed: 'mcp.session.closed',
  reopened: 'mcp.session.reopened'
} as const

const ofClosed = { description: 'null unless it closed' }

/** What an event is about. */
export const SessionEventData = Type.Object({
  endpointId: Type.String(),
  sessionId: Type.String(),
  transport: Type.Union([TransportName, Type.Null()], {
    description: 'null for some events of an older version'
  }),
  connectedAt: Instant,
  disconnectedAt: Type.Union([Instant, Type.Null()], ofClosed),
  duration: Type.Union([Type.Integer(), Type.Null()], { description: 'in ms; null unless it closed' }),
  reason: Type.Union([Type.String(), Type.Null()], ofClosed),
  requestCount: Type.Integer({ minimum: 0, description: 'until the event' }),
  upstream: NullableText,
  clientIP: NullableText,
  userAgent: NullableText,
  clientName: NullableText,
  clientVersion: NullableText,
  protocolVersion: NullableText,
  principal: PrincipalName,
  principalKind: PrincipalKindName,
  oauthClient: OAuthClient,
  conversation: ConversationName
})

/** An event (CloudEvents 1.0.2, "JSON Event Format"). */
export const SessionCloudEvent = Type.Object({
  specversion: Type.Literal('1.0'),
  id: Type.String({
    description: 'the same event always has the same one, at each proxy, and no other event has it'
  }),
  source: Type.Literal('/mcp-turnstile'),
  type: Type.Union([
    Type.Literal(eventTypes.opened),
    Type.Literal(eventTypes.closed),
    Type.Literal(eventTypes.reopened)
  ]),
  subject: Type.String({ description: 'endpointId/sessionId' }),
  time: Type.String({
    format: 'date-time',
    description:
      'when the session opened or closed; of a reopened one, when that was noted. Not in the order of the events.'
  }),
  datacontenttype: Type.Literal('application/json'),
  data: SessionEventData
})
export type SessionCloudEvent = Static<typeof SessionCloudEvent>

/** A response of `/api/events`. */
export const EventsPage = Type.Object({
  events: Type.Array(SessionCloudEvent, {
    description: 'in the order in which they were committed; none: there are no more now'
  }),
  cursor: Type.String({ description: 'ask with it as `after` for what comes next' })
})
export type EventsPage = Static<typeof EventsPage>

/** Of a page, or by `Accept` of a stream whose events hold a `SessionCloudEvent` each, and as their id the cursor after it. */
export const eventsOrStream = {
  description: 'JSON, or by `Accept` a stream of server-sent events; the id of each is the cursor after it',
  content: {
    'application/json': { schema: EventsPage },
    'text/event-stream': { schema: Type.String({ description: 'the data of each is an event as in JSON' }) }
  }
}
