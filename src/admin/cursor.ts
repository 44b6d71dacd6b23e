// Owns the cursor of paged answers: the position of a page's last row, as opaque text, and the link to the next page.
import type { FastifyRequest } from 'fastify'
import { isStorable, type TimeRange } from './time.js'

/** Rows come in the order of (connectAt, id), both falling. */
export interface Position {
  /** Epoch ms. */
  connectAt: number
  id: number
}

export const encodeCursor = ({ connectAt, id }: Position): string =>
  Buffer.from(`${connectAt}.${id}`).toString('base64url')

/** Undefined for anything that `encodeCursor` did not make. */
export function decodeCursor(text: string): Position | undefined {
  const [, connectAt, id] = /^(-?\d+)\.(\d+)$/.exec(Buffer.from(text, 'base64url').toString('latin1')) ?? []
  const position = { connectAt: Number(connectAt), id: Number(id) }
  const made =
    isStorable(position.connectAt) && Number.isSafeInteger(position.id) && encodeCursor(position) === text
  return made ? position : undefined
}

/** The same query from behind `last` on; a range that was left open stays what it was for the first page. */
export function nextPage(request: FastifyRequest, last: Position, range?: TimeRange): string {
  const query = new URLSearchParams(request.url.replace(/^[^?]*/, ''))
  if (range && !query.has('start_time')) query.set('start_time', new Date(range.start).toISOString())
  if (range && !query.has('end_time')) query.set('end_time', new Date(range.end).toISOString())
  query.set('cursor', encodeCursor(last))
  return `${request.routeOptions.url}?${query.toString()}`
}
