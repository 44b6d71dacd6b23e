// Owns what came of the requests of a session or visit, as figures that are added up.

/** Figures of one exchange or of several; all of them are sums. */
export interface Outcome {
  /** Bytes that the client sent on its connection, heads of requests and framing included. */
  bytesIn: number
  /** Bytes that were written to the connection of the client, heads of responses and framing included. */
  bytesOut: number
  /** Calls of tools; one that takes several rounds is one. */
  calls: number
  /** JSON-RPC errors, results with `isError`, and responses with an HTTP status from 400 on. */
  errors: number
  /** Responses that could not be read, so that nobody knows whether they are errors. */
  unread: number
}

/** The sum of two; `sum`, if it is there, becomes that. */
export function addOutcome(sum: Outcome | undefined, more: Outcome): Outcome {
  if (sum === undefined) return more
  sum.bytesIn += more.bytesIn
  sum.bytesOut += more.bytesOut
  sum.calls += more.calls
  sum.errors += more.errors
  sum.unread += more.unread
  return sum
}
