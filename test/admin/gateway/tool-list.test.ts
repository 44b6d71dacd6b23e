// Owns the tests of asking an endpoint for its tools: all pages, over one session that is ended at once.
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { toolsOf } from '../../../src/admin/gateway/tool-list.js'

interface Message {
  id?: number
  method: string
  params?: { cursor?: string }
}

const results: Record<string, (message: Message) => object> = {
  initialize: () => ({
    protocolVersion: '2025-06-18',
    capabilities: { tools: {} },
    serverInfo: { name: 'gateway', version: '1' }
  }),
  'tools/list': ({ params }) =>
    params?.cursor === undefined
      ? { tools: [{ name: 'first', inputSchema: { type: 'object' } }], nextCursor: 'second page' }
      : { tools: [{ name: 'second', inputSchema: { type: 'object' } }] }
}

/** A gateway of one session; `seen` has each request as its method and its session. */
async function startGateway(t: Test): Promise<{ url: URL; seen: string[] }> {
  const seen: string[] = []
  const server = createServer((request: IncomingMessage, response) => {
    const session = String(request.headers['mcp-session-id'] ?? 'no session')
    if (request.method !== 'POST') {
      if (request.method === 'DELETE') seen.push(`DELETE ${session}`)
      response.writeHead(request.method === 'DELETE' ? 202 : 405).end()
      return
    }
    void json(request).then(body => {
      const message = body as Message
      seen.push(`${message.method} ${session}`)
      const result = results[message.method]?.(message)
      if (!result) return response.writeHead(202).end()
      response.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 'the-session' })
      return response.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result }))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`), seen }
}

void t.test('all pages are read, and the session is ended before the tools are there', async t => {
  const { url, seen } = await startGateway(t)
  const tools = await toolsOf({ streamable: [url], sse: [url] }, AbortSignal.timeout(5_000))
  t.same(
    tools.map(({ name }) => name),
    ['first', 'second']
  )
  t.same(seen, [
    'initialize no session',
    'notifications/initialized the-session',
    'tools/list the-session',
    'tools/list the-session',
    'DELETE the-session'
  ])
})

/** A legacy server whose stream begins with `event`, and then has what `events` says to each message. */
async function startLegacy(t: Test, event: string, events: (message: Message) => string): Promise<URL> {
  let write: (text: string) => void = () => undefined
  const server = createServer((request, response) => {
    if (request.method === 'GET') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(event)
      write = text => void response.write(text)
      return
    }
    void json(request).then(message => {
      response.writeHead(202).end()
      write(events(message as Message))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/sse`)
}

void t.test('over a legacy stream, between other messages of it', async t => {
  const notice = 'data: {"jsonrpc":"2.0","method":"notifications/message","params":{}}\n\n: comment\n\n'
  const url = await startLegacy(t, 'event: endpoint\ndata: messages?id=1\n\n', message => {
    const result = results[message.method]?.(message)
    return notice + (result ? `data: ${JSON.stringify({ jsonrpc: '2.0', id: message.id, result })}\n\n` : '')
  })
  const tools = await toolsOf({ streamable: [], sse: [url] }, AbortSignal.timeout(5_000))
  t.same(
    tools.map(({ name }) => name),
    ['first', 'second']
  )
})

void t.test(
  'of several URLs the first one that tells the tools counts, and of all failures the first one',
  async t => {
    const { url } = await startGateway(t)
    const wrong = await startLegacy(t, 'data: {}\n\n', () => '')
    const signal = AbortSignal.timeout(5_000)
    t.equal((await toolsOf({ streamable: [wrong, url], sse: [] }, signal)).length, 2)
    await t.rejects(toolsOf({ streamable: [], sse: [wrong, url] }, signal), {
      message: /does not begin with an endpoint event/
    })
  }
)

void t.test('what a gateway may say instead', async t => {
  const signal = AbortSignal.timeout(5_000)
  for (const [event, answer, reason] of [
    ['event: endpoint\ndata: http://192.0.2.1/m\n\n', '', /another origin/],
    ['data: {}\n\n', '', /does not begin with an endpoint event/],
    ['event: endpoint\ndata: /m\n\n', '{"error":{"message":"no\\u001b[1m"}}', /the error "no\\u001b\[1m"/],
    ['event: endpoint\ndata: /m\n\n', '{"result":{"tools":[{}]}}', /lists no tools/],
    ['event: endpoint\ndata: /m\n\n', '{"result":null}', /without a result/]
  ] as const) {
    const sse = await startLegacy(t, event, ({ id }) => `data: {"id":${id},${answer.slice(1)}\n\n`)
    await t.rejects(toolsOf({ streamable: [], sse: [sse] }, signal), { message: reason })
  }
})
