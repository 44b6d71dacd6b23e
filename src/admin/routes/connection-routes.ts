// Owns the three queries over sessions that the gateway's own UI asks: the list, the count, the minute series.
import type { FastifyPluginCallback, FastifyReply, FastifyRequest, RawServerDefault } from 'fastify'
import type { SeriesPoint, SessionRow, StoreReader } from '../../ledger/store-port.js'
import type { StoredId } from '../../mcp/stored-ids.js'
import { DAY_MS, type EpochMs, HOUR_MS, MINUTE_MS } from '../../util/time.js'
import type { Mask } from '../access/mask.js'
import { endpointFilter } from '../endpoint-filter.js'
import { nextPage } from '../paging/next-page.js'
import { readAll, readPage } from '../paging/pages.js'
import { type ExportType, exportTypes, sendExport, sendJson } from '../paging/streamed-response.js'
import { BadQueryError } from '../schemas/admin-errors.js'
import { encodeCursor } from '../schemas/cursor.js'
import { exported, responses } from '../schemas/fields.js'
import { ConnectionsParameters, CountParameters, SeriesParameters } from '../schemas/parameters.js'
import { ConnectionCount, ConnectionRow, MinutePoint } from '../schemas/query-responses.js'
import { timeRange } from '../schemas/query-time.js'
import type { DecodingTypeProvider } from '../schemas/validation.js'
import { toConnection, toMinute } from '../views.js'

/** How many sessions a page has if the request names no limit. Chosen. */
const DEFAULT_LIMIT = 1_000
/** The most points of a time series in JSON: nearly a year of one endpoint. An export has no limit. Chosen. */
const MAX_POINTS = 500_000
/** Points of an export that are read from the store at once. Chosen: bounds the memory. */
const WINDOW_POINTS = 50_000
/** Endpoints that the refusal of too many points names. Chosen. */
const ENDPOINTS_NAMED = 5

const tags = ['queries']

/** What the queries read from. */
export interface ConnectionRoutesOptions {
  store: StoreReader
  mask: Mask
  now: () => EpochMs
}

/** `/api/connections/endpoint`, `/api/connections/endpoint/count` and `/api/connections/time-series`. */
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
        querystring: ConnectionsParameters,
        response: responses({ 200: exported(ConnectionRow) })
      }
    },
    async (request, reply) => {
      const { endpoint_id, transport, cursor, limit, format, bom, filename, ...asked } = request.query
      const range = timeRange(asked, now(), DAY_MS)
      const filter = endpointFilter(endpoint_id, asked)
      const type = exportAsked(request, reply, { format, bom, filename })
      const columns = Object.keys(ConnectionRow.properties)
      if (filter === 'nothing') return type ? sendExport(reply, type, columns, []) : []
      const query = {
        ...filter,
        ...range,
        ...(transport && { transport }),
        ...(cursor && { after: cursor })
      }
      const view = (row: SessionRow): ConnectionRow => toConnection(row, mask)
      if (type) {
        const rows = readAll(store, { ...query, limit: limit ?? Infinity })
        return sendExport(reply, type, columns, mapped(rows, view))
      }
      const page = await readPage(store, { ...query, limit: limit ?? DEFAULT_LIMIT })
      if (page.last)
        reply.header('link', `<${nextPage(request, encodeCursor(page.last), range)}>; rel="next"`)
      return sendJson(reply, mapped(page.chunks, view))
    }
  )

  app.get(
    '/api/connections/endpoint/count',
    {
      schema: {
        tags,
        summary: 'How many sessions are open now, of how many principals, in how many conversations',
        querystring: CountParameters,
        response: responses({ 200: ConnectionCount })
      }
    },
    async request => {
      const { endpoint_id, transport, ...asked } = request.query
      const filter = endpointFilter(endpoint_id, asked)
      const counts =
        filter === 'nothing'
          ? { openNum: 0, principalNum: 0, conversationNum: 0 }
          : await store.openCounts({ ...filter, ...(transport && { transport }) })
      return {
        endpoint_id: endpoint_id ?? 'all',
        connect_num: counts.openNum,
        principal_num: counts.principalNum,
        conversation_num: counts.conversationNum
      }
    }
  )

  app.get(
    '/api/connections/time-series',
    {
      schema: {
        tags,
        summary: 'How many sessions were open at each minute, and what happened within it',
        querystring: SeriesParameters,
        response: responses({ 200: exported(MinutePoint) })
      }
    },
    async (request, reply) => {
      const at = now()
      const { start, end } = timeRange(request.query, at, HOUR_MS)
      const first = Math.ceil(start / MINUTE_MS) * MINUTE_MS
      const last = Math.floor(Math.min(end, at) / MINUTE_MS) * MINUTE_MS
      const filter = endpointFilter(request.query.endpoint_id)
      const type = exportAsked(request, reply, request.query)
      const columns = Object.keys(MinutePoint.properties)
      if (filter === 'nothing' || first > last) return type ? sendExport(reply, type, columns, []) : []
      const isOne = filter.endpointId !== undefined
      const endpoints = isOne ? 1 : Math.max(1, (await store.counts({})).length)
      const query = { ...filter, start: first, end: last, peak: end - start <= DAY_MS }
      if (type) {
        const windowMs = Math.max(1, Math.floor(WINDOW_POINTS / endpoints)) * MINUTE_MS
        return sendExport(reply, type, columns, mapped(inWindows(store, query, windowMs), toMinute))
      }
      const minutes = (last - first) / MINUTE_MS + 1
      if (minutes * endpoints > MAX_POINTS)
        throw tooManyPoints(minutes, endpoints, isOne ? [] : await store.busiest({ limit: ENDPOINTS_NAMED }))
      return sendJson(reply, mapped(store.series(query), toMinute))
    }
  )
  done()
}

/** How the client wants the response. */
interface AskedForm {
  format?: 'json' | 'csv' | 'ndjson' | undefined
  bom?: 'bom' | 'none' | undefined
  filename?: string | undefined
}

/** The parameter `format`. */
const formats = { json: undefined, csv: 'text/csv', ndjson: 'application/x-ndjson' } as const

/** The export that the client asks for, or prefers to JSON; undefined: JSON. */
function exportAsked(
  request: FastifyRequest,
  reply: FastifyReply,
  { format, bom, filename }: AskedForm
): { type: ExportType; bom: boolean } | undefined {
  reply.header('vary', 'accept')
  if (filename !== undefined) reply.header('content-disposition', attachment(filename))
  const best = request.accepts().type(['application/json', ...exportTypes])
  const type = format === undefined ? exportTypes.find(type => type === best) : formats[format]
  return type && { type, bom: bom === 'bom' }
}

/** RFC 6266, with the name also for those who read ASCII only. */
const attachment = (name: string): string =>
  `attachment; filename="${name.replaceAll(/[^\x20-\x7e]/g, '_')}"; filename*=UTF-8''${encodeURIComponent(
    name
  ).replaceAll(/['()*]/g, character => `%${character.charCodeAt(0).toString(16)}`)}`

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

/** `busiest`: endpoints to name instead; none where one was named. */
function tooManyPoints(minutes: number, endpoints: number, busiest: readonly StoredId[]): BadQueryError {
  const minutesAllowed = Math.floor(MAX_POINTS / endpoints)
  const ways: string[] = []
  if (minutesAllowed > 0) ways.push(`shorten the range to at most ${minutesAllowed} minutes`)
  if (busiest.length > 0) ways.push(`name one endpoint_id (the busiest: ${busiest.map(quoted).join(', ')})`)
  ways.push('ask for text/csv or application/x-ndjson, which have no limit')
  return new BadQueryError(
    `start_time to end_time would yield ${minutes * endpoints} points, one a minute and endpoint, and ${MAX_POINTS} is the most: ${ways.join(', or ')}`
  )
}

const quoted = (id: StoredId): string => JSON.stringify(id)
