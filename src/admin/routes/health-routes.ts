// Owns the probes: whether the process lives, and whether it keeps up.
import type { FastifyPluginCallback } from 'fastify'
import Type, { type TSchema } from 'typebox'
import { Readiness } from '../schemas/readiness.js'

/** What the probes ask. */
export interface HealthRoutesOptions {
  health: () => Readiness | Promise<Readiness>
}

const Alive = Type.Object({ status: Type.Literal('ok') })

const described = (description: string, schema: TSchema) => ({
  description,
  content: { 'application/json': { schema } }
})

/** `/healthz` and `/readyz`. */
export const healthRoutes: FastifyPluginCallback<HealthRoutesOptions> = (app, { health }, done) => {
  const probe = (summary: string, body: TSchema) => ({
    config: { public: true },
    schema: {
      tags: ['probes'],
      summary,
      security: [],
      response: { 200: described('yes', body), 503: described('no', body) }
    }
  })
  app.get('/healthz', probe('Whether the process lives', Alive), () => ({ status: 'ok' }))
  app.get(
    '/readyz',
    probe('Whether what is observed reaches disk and store', Readiness),
    async (_request, reply) => {
      const report = await health()
      return reply.code(report.ready ? 200 : 503).send(report)
    }
  )
  done()
}
