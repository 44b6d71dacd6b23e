// Owns the fields that responses have in common, and how a route declares its responses.
import Type, { type TSchema } from 'typebox'

/** ISO 8601, UTC, with milliseconds. */
export const Instant = Type.String({ format: 'date-time', description: 'ISO 8601, UTC' })

/** A text that the client or the gateway may not have given. */
export const NullableText = Type.Union([Type.String(), Type.Null()])

/** On whose behalf a session is used. */
export const PrincipalName = Type.Union([Type.String(), Type.Null()], {
  description: 'on whose behalf it was first used; null where that is not known'
})

/** How the principal is known. */
export const PrincipalKindName = Type.Union(
  [Type.Literal('header'), Type.Literal('oauth'), Type.Literal('key'), Type.Null()],
  { description: 'from a header field of a trusted proxy, a JWT, or another credential' }
)

/** The client of an OAuth token. */
export const OAuthClient = Type.Union([Type.String(), Type.Null()], {
  description: 'the OAuth client that the token was issued to'
})

/** What a session belongs to. */
export const ConversationName = Type.Union([Type.String(), Type.Null()], {
  description: 'what its client says that it belongs to; null where it says nothing'
})

/** How many there are of something. */
export const NaturalNumber = Type.Integer({ minimum: 0 })

/** Bytes that the client sent. */
export const BytesIn = Type.Integer({
  minimum: 0,
  description: 'that the client sent on its connection: heads, bodies and framing of its requests'
})

/** Bytes that the client got. */
export const BytesOut = Type.Integer({
  minimum: 0,
  description: 'that were sent to the client: heads, bodies and framing of the responses'
})

/** Calls of tools. */
export const CallCount = Type.Integer({
  minimum: 0,
  description: 'calls of tools; one that takes several rounds is one'
})

/** Errors of all kinds. */
export const ErrorCount = Type.Integer({
  minimum: 0,
  description: 'JSON-RPC errors, results with isError, and HTTP statuses from 400 on'
})

/** Responses of which nobody knows whether they are errors. */
export const UnreadCount = Type.Integer({
  minimum: 0,
  description: 'responses that could not be read (compressed, larger than 64 KiB, cut off): errors or not'
})

/** The body of every error of the admin port, but for `ConnectionNotFound`. */
export const ErrorBody = Type.Object({
  statusCode: Type.Integer(),
  error: Type.String(),
  message: Type.String({ description: 'what to change' })
})

/** The responses of a route: the schemas of those by status code, and `ErrorBody` for all other statuses. */
export const responses = <Responses extends Record<number, object>>(byStatus: Responses) => ({
  ...byStatus,
  '4xx': ErrorBody,
  '5xx': ErrorBody
})

/** A list of items of any length, in each of its media types. */
export const exported = (item: TSchema) => ({
  description: 'JSON, or by `Accept` a line an item of CSV or NDJSON, then without a limit of size',
  content: {
    'application/json': { schema: Type.Array(item) },
    'text/csv': { schema: Type.String() },
    'application/x-ndjson': { schema: Type.String() }
  }
})
