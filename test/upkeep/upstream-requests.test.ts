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

await test('where several patterns may stand for an endpoint, a path that the gateway does not have says nothing', async t => {
  const asked: string[] = []
  const server = await serveResponses(({ head }) => {
    const line = head!.startLine
    asked.push(line.split(' ', 2).join(' '))
    const status = line.includes('/mcp/e ') ? '405 Method Not Allowed' : '404 Not Found'
    return responseHead(status, 'Content-Length: 0')
  })
  t.teardown(() => server.close())
  const requests = new UpstreamRequests({
    upstream: server.url,
    rewriteHost: false,
    connectTimeoutMs: 1_000,
    routes: new Routes({ stream: '/stream/{id},/mcp/{id},/{id}/mcp', sse: '/sse', message: '/message' }),
    credentials: new ClientCredentials()
  })
  t.teardown(() => requests.close())
  t.has(await requests.ping({ endpointId: 'e', sessionId: 's' }), { status: 405, sessionNotFound: false })
  t.equal(await requests.end({ endpointId: 'e', sessionId: 's' }), 405)
  t.strictSame(asked, ['POST /stream/e', 'POST /mcp/e', 'DELETE /stream/e', 'DELETE /mcp/e'])
  t.has(await requests.ping({ endpointId: 'f', sessionId: 's' }), { status: 404 }, 'nowhere: it is gone')
})
