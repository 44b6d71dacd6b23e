// Owns the description of the admin port for machines and people: /openapi.json, and its page at /docs.
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'

/** To be called before the routes it describes. Both are public: they hold no data. */
export function describeRoutes(app: FastifyInstance, version: string): void {
  app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'mcp-turnstile',
        version,
        description:
          'Who is connected to which MCP endpoint: queries, live monitoring and what operators can do.'
      },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }]
    }
  })
  app.register((docs, _options, done) => {
    docs.addHook('onRoute', route => {
      route.config = { ...route.config, public: true }
    })
    // The page finds its files by its own URL, which must have no query then.
    docs.addHook('onRequest', ({ url }, reply, done) => {
      if (/^\/docs\/?(static\/index\.html)?\?/.test(url)) reply.redirect('/docs')
      else done()
    })
    docs.get('/openapi.json', { schema: { hide: true } }, () => app.swagger())
    docs.register(swaggerUi, { routePrefix: '/docs' })
    done()
  })
}
