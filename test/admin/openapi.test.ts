// Owns the tests of the description of the admin port: valid OpenAPI 3.1, of every route, and a page that shows it.
import { Validator } from '@seriousme/openapi-schema-validator'
import t from 'tap'
import { startMonitoring } from '../support/admin-under-test.js'

interface OpenApi {
  openapi: string
  info: { version: string }
  paths: Record<string, Record<string, { summary?: string; responses: Record<string, unknown> }>>
}

const routes = [
  'get /api/connections/endpoint',
  'get /api/connections/endpoint/count',
  'get /api/connections/time-series',
  'get /api/events',
  'get /api/mcp/status',
  'get /api/mcp/health',
  'get /api/mcp/tools',
  'get /api/mcp/tools/usage',
  'get /api/mcp/connections',
  'delete /api/mcp/connections',
  'get /api/mcp/connections/count',
  'get /api/mcp/connections/{sessionId}',
  'delete /api/mcp/connections/{sessionId}',
  'get /api/mcp/proxies',
  'get /api/mcp/access',
  'get /api/mcp/endpoints',
  'get /api/mcp/principals',
  'delete /api/mcp/principals',
  'delete /api/mcp/principals/{principal}',
  'delete /api/mcp/endpoints',
  'delete /api/mcp/endpoints/{endpointId}',
  'get /api/mcp/upstreams',
  'put /api/mcp/upstreams/{name}/drain',
  'delete /api/mcp/upstreams/{name}/drain',
  'put /api/mcp/endpoints/{endpointId}/drain',
  'delete /api/mcp/endpoints/{endpointId}/drain',
  'put /api/mcp/endpoints/drain',
  'delete /api/mcp/endpoints/drain',
  'get /internal/connections',
  'get /metrics',
  'get /healthz',
  'get /readyz'
]

void t.test('/openapi.json is valid OpenAPI 3.1 and has every route with its answers', async t => {
  const { ask } = startMonitoring(t)
  const document = await ask<OpenApi>('/openapi.json')
  const result = await new Validator().validate(
    structuredClone(document) as unknown as Record<string, unknown>
  )
  t.strictSame(result, { valid: true })
  t.match(document, { openapi: '3.1.0', info: { version: '1.2.3' } })
  const found = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { summary, responses }]) => {
      t.ok(summary, `${method} ${path} says what it is for`)
      t.ok(responses['200'])
      return `${method} ${path}`
    })
  )
  t.strictSame(new Set(found), new Set(routes))
})

void t.test('it says what a parameter must be, where that is more than text', async t => {
  const { ask } = startMonitoring(t)
  const { paths } = await ask<{
    paths: Record<string, Record<string, { parameters: { name: string; schema: object }[] }>>
  }>('/openapi.json')
  const parameter = (path: string, method: string, wanted: string) =>
    paths[path]![method]!.parameters.find(({ name }) => name === wanted)
  t.match(parameter('/api/mcp/connections', 'delete', 'endpointId'), {
    schema: { pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]+$' }
  })
  t.match(parameter('/api/mcp/endpoints/{endpointId}/drain', 'put', 'endpointId'), {
    schema: { pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]+$' }
  })
  t.match(parameter('/api/connections/endpoint/count', 'get', 'transport'), {
    schema: { enum: ['sse', '1', 'streamable', '2', 'sessionless', '3'] }
  })
})

void t.test('/docs shows it, and loads nothing from elsewhere', async t => {
  const { app } = startMonitoring(t)
  const page = await app.inject('/docs/')
  t.equal(page.statusCode, 200)
  const loaded = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(match => match[1]!)
  t.ok(loaded.length > 3)
  for (const url of loaded) {
    t.match(url, /^(\.\/|\/docs\/)/, 'local')
    const response = await app.inject(new URL(url, 'http://localhost/docs/').pathname)
    t.equal(response.statusCode, 200, url)
    t.match(response.headers['content-security-policy'], /^default-src 'self'/)
  }
  t.notMatch(page.body, /<script>/, 'no script that the policy forbids')
  t.equal((await app.inject('/docs/json')).statusCode, 200)
  for (const url of ['/docs?x', '/docs/?x=/', '/docs/static/index.html?x/']) {
    const { statusCode, headers } = await app.inject(url)
    t.match(
      [statusCode, headers.location],
      [302, '/docs'],
      `${url}: its files are found by a URL without query`
    )
  }
  t.equal((await app.inject('/docs/static/swagger-ui.css?x')).statusCode, 200)
})
