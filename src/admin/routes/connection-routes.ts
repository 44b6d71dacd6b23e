// Owns the three queries over sessions that the gateway's own UI asks: the list, the count, the minute series.
import type { FastifyPluginCallback, FastifyReply, FastifyRequest, RawServerDefault } from 'fastify'
import type { SeriesPoint, StoreReader } from '../../ledger/store-port.js'
import type { Mask } from '../access/mask.js'
import { nextPage } from '../paging/next-page.js'
import { ofEndpoint, readAll, readPage } from '../paging/pages.js'
import { type ExportType, exportTypes, sendExport, sendJson } from '../paging/streamed-response.js'
import { BadQueryError } from '../schemas/admin-errors.js'
import {
  answers,
  Connection,
  ConnectionsQuery,
  Count,
  CountQuery,
  exported,
  Minute,
  SeriesQuery
} from '../schemas/query-schemas.js'
import { timeRange } from '../schemas/query-time.js'
import type { DecodingTypeProvider } from '../schemas/validation.js'
import { toConnection, toMinute } from '../views.js'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

const DEFAULT_LIMIT = 1_000
const MAX_POINTS = 500_000
/** Of an export, read at once. */
const WINDOW_POINTS = 50_000

const tags = ['queries']

export interface ConnectionRoutesOptions {
  store: StoreReader
  mask: Mask
  /** Epoch ms. */
  now: () => number
}

export const connectionRoutes: FastifyPluginCallback<
  ConnectionRoutesOptions,
  RawServerDefault,
  DecodingTypeProvider
> = (app, { store, mask, now }, done) => {
  app.get(
    '/api/connections/endpoint',
    {
      schema: {
        tags,
        summary: 'Sessions connected at any moment of a time range, newest first',
        querystring: ConnectionsQuery,
        response: answers({ 200: exported(Connection) })
      }
    },
    async (request, reply) => {
      const { endpoint_id, transport, cursor, limit, ...asked } = request.query
      const range = timeRange(asked, now(), DAY_MS)
      const endpoint = ofEndpoint(endpoint_id)
      const query = {
        ...endpoint,
        ...range,
        ...(transport && { transport }),
        ...(cursor && { after: cursor })
      }
      const type = exportAsked(request, reply)
      if (type) {
        const rows = endpoint ? readAll(store, { ...query, limit: limit ?? Infinity }) : []
        const columns = Object.keys(Connection.properties)
        return sendExport(
          reply,
          type,
          columns,
          mapped(rows, row => toConnection(row, mask))
        )
      }
      if (!endpoint) return []
      const page = await readPage(store, { ...query, limit: limit ?? DEFAULT_LIMIT })
      if (page.last) reply.header('link', `<${nextPage(request, page.last, range)}>; rel="next"`)
      return sendJson(
        reply,
        mapped(page.chunks, row => toConnection(row, mask))
      )
    }
  )

  app.get(
    '/api/connections/endpoint/count',
    {
      schema: {
        tags,
        summary: 'How many sessions are open now',
        querystring: CountQuery,
        response: answers({ 200: Count })
      }
    },
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
    {
      schema: {
        tags,
        summary: 'How many sessions were open at each minute, and what happened within it',
        querystring: SeriesQuery,
        response: answers({ 200: exported(Minute) })
      }
    },
    async (request, reply) => {
      const at = now()
      const { start, end } = timeRange(request.query, at, HOUR_MS)
      const first = Math.ceil(start / MINUTE_MS) * MINUTE_MS
      const last = Math.floor(Math.min(end, at) / MINUTE_MS) * MINUTE_MS
      const endpoint = ofEndpoint(request.query.endpoint_id)
      const type = exportAsked(request, reply)
      const isEmpty = !endpoint || first > last
      if (isEmpty && !type) return []
      const endpoints =
        isEmpty || endpoint.endpointId !== undefined ? 1 : Math.max(1, (await store.counts({})).length)
      const query = { ...endpoint, start: first, end: last, peak: end - start <= DAY_MS }
      if (type) {
        const windowMs = Math.max(1, Math.floor(WINDOW_POINTS / endpoints)) * MINUTE_MS
        const points = isEmpty ? [] : inWindows(store, query, windowMs)
        return sendExport(reply, type, Object.keys(Minute.properties), mapped(points, toMinute))
      }
      refuseTooMany((last - first) / MINUTE_MS + 1, endpoints)
      return sendJson(reply, mapped(store.series(query), toMinute))
    }
  )
  done()
}

/** What `Accept` prefers to JSON, if anything. */
function exportAsked(request: FastifyRequest, reply: FastifyReply): ExportType | undefined {
  reply.header('vary', 'accept')
  const best = request.accepts().type(['application/json', ...exportTypes])
  return exportTypes.find(type => type === best)
}

async function* mapped<T, U>(chunks: Iterable<T[]> | AsyncIterable<T[]>, view: (item: T) => U) {
  for await (const chunk of chunks) yield chunk.map(view)
}

/** The series of a range of any length, one window after the other. */
async function* inWindows(
  store: StoreReader,
  query: Parameters<StoreReader['series']>[0],
  windowMs: number
): AsyncGenerator<SeriesPoint[]> {
  for (let start = query.start; start <= query.end; start += windowMs) {
    yield* store.series({ ...query, start, end: Math.min(start + windowMs - MINUTE_MS, query.end) })
  }
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
