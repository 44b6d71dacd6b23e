// Owns which answers to the proxy's own ping tell that the session is gone.
import { test } from 'tap'
import { Routes } from '../../src/mcp/routes.js'
import { ClientCredentials } from '../../src/sessions/client-credentials.js'
import { UpstreamRequests } from '../../src/upkeep/upstream-requests.js'
import { responseHead } from '../support/proxy-under-test.js'
import { serveResponses } from '../support/raw-http.js'

const notFound = 'Unauthorized: Session not found'

for (const [title, body, gone] of [
  ['the body of rmcp 0.x', notFound, true],
  ['a body that only begins so', `${notFound} in tenant db`, false],
  ['a part of it', notFound.slice(0, 20), false]
] as const) {
  await test(`a 401 with ${title}`, async t => {
    const server = await serveResponses(() =>
      responseHead('401 Unauthorized', `Content-Length: ${body.length}`).concat(body)
    )
    t.teardown(() => server.close())
    const requests = new UpstreamRequests({
      upstream: server.url,
      rewriteHost: false,
      connectTimeoutMs: 1_000,
      routes: new Routes({ stream: '/stream/{id}', sse: '/{id}/sse', message: '/message' }),
      credentials: new ClientCredentials()
    })
    t.teardown(() => requests.close())
    const told = await requests.ping({ endpointId: 'e', sessionId: 's' })
    t.has(told, { status: 401, sessionNotFound: gone })
  })
}
