// Owns the fields that responses have in common, and how a route declares its responses.
import Type, { type TSchema } from 'typebox'

/** ISO 8601, UTC, with milliseconds. */
export const Instant = Type.String({ format: 'date-time', description: 'ISO 8601, UTC' })

/** A text that the client or the gateway may not have given. */
export const NullableText = Type.Union([Type.String(), Type.Null()])

/** How many there are of something. */
export const NaturalNumber = Type.Integer({ minimum: 0 })

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
