// Owns the three queries over sessions that the gateway's own UI asks: the list, the count, the minute series.
import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import type { FastifyPluginCallback, FastifyReply, FastifyRequest, RawServerDefault } from 'fastify'
import type { ConnectionsQuery as StoreQuery, SessionRow, StoreReader } from '../../ledger/store.js'
import { storedId } from '../../sessions/ids.js'
import { encodeCursor, type Position } from '../cursor.js'
import { BadQueryError } from '../errors.js'
import { ConnectionsQuery, Count, CountQuery, SeriesQuery, toConnection, toMinute } from '../schemas.js'
import { type TimeRange, timeRange } from '../time.js'
import type { DecodingTypeProvider } from '../validation.js'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

const DEFAULT_LIMIT = 1_000
/** Rows read and made into JSON at once: about 2 ms of the event loop, which the proxy needs too. */
const CHUNK_ROWS = 500
const MAX_POINTS = 500_000

export interface ConnectionRoutesOptions {
  store: StoreReader
  /** Epoch ms. */
  now: () => number
}

export const connectionRoutes: FastifyPluginCallback<
  ConnectionRoutesOptions,
  RawServerDefault,
  DecodingTypeProvider
> = (app, { store, now }, done) => {
  app.get(
    '/api/connections/endpoint',
    { schema: { querystring: ConnectionsQuery } },
    async (request, reply) => {
      const { endpoint_id, transport, cursor, limit = DEFAULT_LIMIT, ...asked } = request.query
      const range = timeRange(asked, now(), DAY_MS)
      const endpoint = ofEndpoint(endpoint_id)
      if (!endpoint) return []
      const page = await readPage(store, {
        ...endpoint,
        ...range,
        ...(transport && { transport }),
        ...(cursor && { after: cursor }),
        limit
      })
      if (page.last) reply.header('link', `<${nextPage(request, range, page.last)}>; rel="next"`)
      return sendJson(reply, page.chunks, toConnection)
    }
  )

  app.get(
    '/api/connections/endpoint/count',
    { schema: { querystring: CountQuery, response: { 200: Count } } },
    async request => {
      const { endpoint_id, transport } = request.query
      const endpoint = ofEndpoint(endpoint_id)
      const counts = endpoint ? await store.counts({ ...endpoint, ...(transport && { transport }) }) : []
      return {
        endpoint_id: endpoint_id ?? 'all',
        connect_num: counts.reduce((sum, { connectNum }) => sum + connectNum, 0)
      }
    }
  )

  app.get(
    '/api/connections/time-series',
    { schema: { querystring: SeriesQuery } },
    async (request, reply) => {
      const at = now()
      const { start, end } = timeRange(request.query, at, HOUR_MS)
      const first = Math.ceil(start / MINUTE_MS) * MINUTE_MS
      const last = Math.floor(Math.min(end, at) / MINUTE_MS) * MINUTE_MS
      const endpoint = ofEndpoint(request.query.endpoint_id)
      if (!endpoint || first > last) return []
      const endpoints = endpoint.endpointId === undefined ? (await store.counts({})).length : 1
      refuseTooMany((last - first) / MINUTE_MS + 1, endpoints)
      const points = store.series({ ...endpoint, start: first, end: last, peak: end - start <= DAY_MS })
      return sendJson(reply, points, toMinute)
    }
  )
  done()
}

/** The filter for an endpoint in its stored form; undefined when no stored session can be of it. */
function ofEndpoint(raw: string | undefined): { endpointId?: string } | undefined {
  if (raw === undefined) return {}
  const endpointId = storedId(raw)
  return endpointId === undefined ? undefined : { endpointId }
}

/** The rows of one page, in chunks, and the position of the last when more follow. */
async function readPage(
  store: StoreReader,
  query: StoreQuery
): Promise<{ chunks: SessionRow[][]; last?: Position }> {
  const chunks: SessionRow[][] = []
  let position = query.after
  for (let left = query.limit; left > 0; left -= CHUNK_ROWS) {
    const length = Math.min(left, CHUNK_ROWS)
    const rows = await store.connections({
      ...query,
      ...(position && { after: position }),
      limit: length + 1
    })
    const chunk = rows.slice(0, length)
    chunks.push(chunk)
    if (rows.length === chunk.length) return { chunks }
    const { connectAt, id } = chunk.at(-1)!
    position = { connectAt, id }
  }
  return { chunks, last: position! }
}

/** The same query from behind `last` on; a range that was left open stays what it was for the first page. */
function nextPage(request: FastifyRequest, range: TimeRange, last: Position): string {
  const query = new URLSearchParams(request.url.replace(/^[^?]*/, ''))
  if (!query.has('start_time')) query.set('start_time', new Date(range.start).toISOString())
  if (!query.has('end_time')) query.set('end_time', new Date(range.end).toISOString())
  query.set('cursor', encodeCursor(last))
  return `${request.routeOptions.url}?${query.toString()}`
}

function refuseTooMany(minutes: number, endpoints: number): void {
  const points = minutes * endpoints
  if (points <= MAX_POINTS) return
  const shorter = `shorten the range to at most ${Math.floor(MAX_POINTS / endpoints)} minutes`
  throw new BadQueryError(
    `start_time to end_time would yield ${points} points, one a minute and endpoint, and ${MAX_POINTS} is the most: ` +
      (endpoints === 1 ? shorter : `${shorter}, or name one endpoint_id`)
  )
}

/** Answers with a JSON array, a chunk at a time, as fast as the client reads. */
function sendJson<T>(
  reply: FastifyReply,
  chunks: Iterable<T[]> | AsyncIterable<T[]>,
  toJson: (item: T) => object
): FastifyReply {
  return reply.type('application/json; charset=utf-8').send(Readable.from(jsonArray(chunks, toJson)))
}

/** Nothing comes out before the first chunk is there, so that its error can still be answered. */
async function* jsonArray<T>(
  chunks: Iterable<T[]> | AsyncIterable<T[]>,
  toJson: (item: T) => object
): AsyncGenerator<string> {
  let before = '['
  for await (const chunk of chunks) {
    if (chunk.length === 0) continue
    yield before + JSON.stringify(chunk.map(toJson)).slice(1, -1)
    before = ','
    // A socket that takes everything would otherwise keep the event loop to itself.
    await setImmediate()
  }
  yield before === '[' ? '[]' : ']'
}
