// Owns the tests of requests to the admin port whose body never comes: they are cut after the time limit.
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { startMonitoring } from '../support/admin-under-test.js'
import { connectTo } from '../support/raw-http.js'

void t.test('a request whose head or body never comes is cut', async t => {
  const { app } = startMonitoring(t, { headTimeoutMs: 200 })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  for (const [bytes, status] of [
    ['GET /healthz HT', '408'],
    [
      'PUT /api/mcp/endpoints/e/drain HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{',
      '408'
    ],
    ['GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{', '200']
  ] as const) {
    const client = await connectTo(port)
    const started = performance.now()
    await client.send(bytes)
    await client.closed()
    t.ok(performance.now() - started < 5_000, bytes)
    t.match(client.reader.head?.startLine, `HTTP/1.1 ${status}`)
  }
})
