// Owns the route that Prometheus scrapes.
import type { FastifyPluginCallback } from 'fastify'
import { CONTENT_TYPE } from '../../metrics/exposition.js'
import { responses } from '../schemas/fields.js'
import type { Scrape } from '../scrape.js'

/** `/metrics`. */
export const metricsRoutes: FastifyPluginCallback<{ metrics: Scrape }> = (app, { metrics }, done) => {
  app.get(
    '/metrics',
    {
      config: { scope: 'metrics' },
      schema: {
        tags: ['metrics'],
        summary: "The metrics, in Prometheus' text format",
        response: responses({
          200: { description: 'the metrics', content: { 'text/plain': { schema: { type: 'string' } } } }
        })
      }
    },
    async (_request, reply) => reply.type(CONTENT_TYPE).send(await metrics.text())
  )
  done()
}
