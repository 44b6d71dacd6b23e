// Owns the routes about gateways: their state, and draining one (it gets no new sessions).
import type { FastifyPluginCallback, RawServerDefault } from 'fastify'
import Type from 'typebox'
import type { StoreReader } from '../../ledger/store-port.js'
import type { Audit, Control } from '../operator-port.js'
import { responses } from '../schemas/fields.js'
import { UpstreamDrainState, UpstreamInfo, UpstreamNotFound } from '../schemas/monitoring-responses.js'
import { UpstreamPath } from '../schemas/parameters.js'
import type { DecodingTypeProvider } from '../schemas/validation.js'
import { toUpstream } from '../views.js'

/** What the routes about gateways read from and act on. */
export interface UpstreamRoutesOptions {
  store: StoreReader
  control: Control
  audit: Audit
}

/** `/api/mcp/upstreams` and `/api/mcp/upstreams/:name/drain`. */
export const upstreamRoutes: FastifyPluginCallback<
  UpstreamRoutesOptions,
  RawServerDefault,
  DecodingTypeProvider
> = (app, { store, control, audit }, done) => {
  app.get(
    '/api/mcp/upstreams',
    {
      schema: {
        tags: ['monitoring'],
        summary: 'The gateways, as all proxies of the store together see them',
        response: responses({ 200: Type.Array(UpstreamInfo) })
      }
    },
    async () => {
      await control.reportUpstreams()
      return (await store.upstreams()).map(toUpstream)
    }
  )

  for (const method of ['PUT', 'DELETE'] as const) {
    const on = method === 'PUT'
    app.route({
      method,
      url: '/api/mcp/upstreams/:name/drain',
      config: { scope: 'write' },
      schema: {
        tags: ['actions'],
        summary: on
          ? 'Sends no new sessions to a gateway, through any proxy of the store'
          : 'Sends new sessions to a gateway again',
        params: UpstreamPath,
        response: responses({ 200: UpstreamDrainState, 404: UpstreamNotFound })
      },
      handler: async (request, reply) => {
        const { name } = request.params
        const known = await store.upstreams()
        // What no proxy has any more can still be taken back.
        if (on && !known.some(upstream => upstream.name === name))
          return reply.code(404).send({ error: 'Upstream not found' as const, name })
        await control.drainUpstream(name, on)
        audit(request, on ? 'drain gateway' : 'undrain gateway', { upstream: name })
        const status = on ? ('draining' as const) : ('accepting' as const)
        return { status, name, timestamp: new Date().toISOString() }
      }
    })
  }
  done()
}
