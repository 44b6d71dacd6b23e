// Owns the link from one page of a paged response to the next.
import type { FastifyRequest } from 'fastify'
import type { TimeRange } from '../schemas/query-time.js'

/** The URL of the same query after `cursor`; a range that was left open stays what it was for the first page. */
export function nextPage(request: FastifyRequest, cursor: string, range?: TimeRange): string {
  const query = new URLSearchParams(request.url.replace(/^[^?]*/, ''))
  if (range && !query.has('start_time')) query.set('start_time', new Date(range.start).toISOString())
  if (range && !query.has('end_time')) query.set('end_time', new Date(range.end).toISOString())
  query.set('cursor', cursor)
  return `${request.routeOptions.url}?${query.toString()}`
}
