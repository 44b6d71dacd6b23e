// Owns the tests of how much the admin port asks of the gateway: few sessions at a time, and one an endpoint in 10 s, whoever asks.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { GatewayClient } from '../../../src/admin/gateway/gateway-client.js'

/** A gateway that takes `delayMs` for each response; `asked` has the path of each session that was opened. */
async function startGateway(t: Test, delayMs: number) {
  const asked: string[] = []
  const most = { sessions: 0 }
  const open = new Set<string>()
  const server = createServer((request, response) => {
    void (async () => {
      const path = request.url!
      if (request.method === 'DELETE') {
        open.delete(path)
        return response.writeHead(202).end()
      }
      if (request.method !== 'POST') return response.writeHead(405).end()
      const { id, method } = (await json(request)) as { id?: number; method: string }
      if (method === 'initialize') {
        asked.push(path)
        open.add(path)
        most.sessions = Math.max(most.sessions, open.size)
      }
      await sleep(delayMs)
      if (id === undefined) return response.writeHead(202).end()
      const serverInfo = { name: 'gateway', version: '1' }
      const result =
        method === 'initialize'
          ? { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo }
          : { tools: [{ name: path.slice(1), inputSchema: { type: 'object' } }] }
      response.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 's' })
      return response.end(JSON.stringify({ jsonrpc: '2.0', id, result }))
    })()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  return { url, asked, most }
}

void t.test('600 who ask at once are eight sessions at a time, and one an endpoint', async t => {
  const { url, asked, most } = await startGateway(t, 10)
  const client = new GatewayClient(
    () => Promise.resolve([url]),
    (_, endpointId) => ({
      streamable: [new URL(`/${endpointId}`, url)],
      sse: []
    })
  )
  const tools = await Promise.all(Array.from({ length: 600 }, (_, i) => client.tools(`e${i % 30}`)))
  t.same(tools[31], [{ name: 'e1', inputSchema: { type: 'object' } }])
  t.equal(asked.length, 30)
  t.equal(new Set(asked).size, 30)
  t.equal(most.sessions, 8)
  await client.tools('e0')
  t.equal(asked.length, 30, 'kept')
})

void t.test(
  'of more than 100 endpoints within 10 s the others are refused, and asked about later',
  async t => {
    const { url, asked } = await startGateway(t, 0)
    const client = new GatewayClient(
      () => Promise.resolve([url]),
      (_, endpointId) => ({
        streamable: [new URL(`/${endpointId}`, url)],
        sse: []
      })
    )
    const outcomes = await Promise.allSettled(Array.from({ length: 300 }, (_, i) => client.tools(`e${i}`)))
    t.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 100)
    t.match(outcomes[299], {
      reason: { statusCode: 503, headers: { 'retry-after': '10' }, message: /try again in 10 s/ }
    })
    t.equal(asked.length, 100)
    await client.tools('e0')
    t.equal(asked.length, 100, 'what is kept is told')
  }
)
