// Owns the link from one page of a paged response to the next.
import type { FastifyRequest } from 'fastify'
import { encodeCursor, type Position } from '../schemas/cursor.js'
import type { TimeRange } from '../schemas/query-time.js'

/** The URL of the same query after the row `last`; a range that was left open stays what it was for the first page. */
export function nextPage(request: FastifyRequest, last: Position, range?: TimeRange): string {
  const query = new URLSearchParams(request.url.replace(/^[^?]*/, ''))
  if (range && !query.has('start_time')) query.set('start_time', new Date(range.start).toISOString())
  if (range && !query.has('end_time')) query.set('end_time', new Date(range.end).toISOString())
  query.set('cursor', encodeCursor(last))
  return `${request.routeOptions.url}?${query.toString()}`
}
