// Owns the query of how tools are used: calls, errors and durations by hour, by day, or in total.
import type { FastifyPluginCallback, RawServerDefault } from 'fastify'
import Type from 'typebox'
import type { StoreReader } from '../../ledger/store-port.js'
import { DAY_MS, type EpochMs } from '../../util/time.js'
import { endpointFilter } from '../endpoint-filter.js'
import { BadQueryError } from '../schemas/admin-errors.js'
import { responses } from '../schemas/fields.js'
import { ToolUsageInfo } from '../schemas/monitoring-responses.js'
import { ToolUsageParameters } from '../schemas/parameters.js'
import { timeRange } from '../schemas/query-time.js'
import type { DecodingTypeProvider } from '../schemas/validation.js'
import { toToolUsage } from '../views.js'

/** The most items of a response. Chosen: some 10 MB of JSON. */
const MAX_ITEMS = 50_000

/** What the route reads from. */
export interface ToolUsageRoutesOptions {
  store: Pick<StoreReader, 'toolUsage'>
  now: () => EpochMs
}

/** `/api/mcp/tools/usage`. */
export const toolUsageRoutes: FastifyPluginCallback<
  ToolUsageRoutesOptions,
  RawServerDefault,
  DecodingTypeProvider
> = (app, { store, now }, done) => {
  app.get(
    '/api/mcp/tools/usage',
    {
      schema: {
        tags: ['monitoring'],
        summary: 'How tools were used in a time range, in whole hours: the last day if none is named',
        querystring: ToolUsageParameters,
        response: responses({ 200: Type.Array(ToolUsageInfo) })
      }
    },
    async request => {
      const { endpointId, by = 'hour', ...asked } = request.query
      const range = timeRange(asked, now(), DAY_MS)
      const filter = endpointFilter(endpointId)
      if (filter === 'nothing') return []
      const usage = await store.toolUsage({ ...filter, ...range, by, limit: MAX_ITEMS + 1 })
      if (usage.length > MAX_ITEMS)
        throw new BadQueryError(
          `more than ${MAX_ITEMS} items: shorten the range, name an endpointId, or ask for by=day or by=total`
        )
      return usage.map(toToolUsage)
    }
  )
  done()
}
