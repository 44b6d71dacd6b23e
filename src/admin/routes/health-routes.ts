// Owns the probes: whether the process lives, and whether it keeps up.
import type { FastifyPluginCallback } from 'fastify'

/** Whether the proxy does its work, and what each check found. Seen without a token: no secrets. */
export interface HealthReport {
  ready: boolean
  [check: string]: unknown
}

export interface HealthRoutesOptions {
  health: () => HealthReport | Promise<HealthReport>
}

export const healthRoutes: FastifyPluginCallback<HealthRoutesOptions> = (app, { health }, done) => {
  const describe = (summary: string) => ({
    config: { public: true },
    schema: {
      tags: ['probes'],
      summary,
      security: [],
      response: { 200: { description: 'yes' }, 503: { description: 'no' } }
    }
  })
  app.get('/healthz', describe('Whether the process lives'), () => ({ status: 'ok' }))
  app.get('/readyz', describe('Whether what is observed reaches disk and store'), async (_request, reply) => {
    const report = await health()
    return reply.code(report.ready ? 200 : 503).send(report)
  })
  done()
}
