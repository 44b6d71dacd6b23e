// Owns what of an upstream's refusals ends a session, and what opens it again: seen from outside the process, with gateways
// that say it in the ways of the field.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import t, { type Test } from 'tap'
import { startEverything } from '../support/everything.js'
import { type ConnectionJson, Turnstile } from '../support/turnstile.js'

const initialize = {
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', clientInfo: { name: 'agent', version: '1' } }
}

/** A request as the gateway sees it. */
interface Exchange {
  request: IncomingMessage
  response: ServerResponse
  method: string | undefined
  isPing: boolean
}

/** Answers a request; true: it did, otherwise the session is known and the request accepted. */
type Answer = (exchange: Exchange) => boolean | void

interface Rig {
  turnstile: Turnstile
  /** What the gateway does instead of accepting a request of a session. */
  answer: Answer
  /** How many pings came from the proxy itself. */
  pings: number
  opened: number
  send(method: string, sessionId: string, headers?: Record<string, string>, body?: object): Promise<Response>
  open(): Promise<string>
  row(id: string): Promise<ConnectionJson>
}

const json = (response: ServerResponse, status: number, body: object): true => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  return true
}
const plain = (response: ServerResponse, status: number, body = ''): true => {
  response.writeHead(status, { 'content-type': 'text/plain' }).end(body)
  return true
}
const rpcError = (code: number, message: string): object => ({
  jsonrpc: '2.0',
  id: 1,
  error: { code, message }
})

async function start(t: Test, ...flags: string[]): Promise<Rig> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.once('end', () => {
      const text = Buffer.concat(chunks).toString()
      const { method } = (text === '' ? {} : JSON.parse(text)) as { method?: string }
      const isPing = request.headers['user-agent'] === 'mcp-turnstile'
      if (isPing) rig.pings++
      if (method === 'initialize') response.setHeader('mcp-session-id', `s${++rig.opened}`)
      else if (rig.answer({ request, response, method, isPing }) === true) return
      json(response, 200, { jsonrpc: '2.0', id: 1, result: { protocolVersion: '2025-06-18' } })
    })
  })
  // The proxy's silent connection stays, however long the test takes: nobody has to ask because it was lost.
  server.headersTimeout = server.requestTimeout = 0
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const upstream = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const turnstile = await Turnstile.start(upstream, t.testdir(), flags)
  t.teardown(() => turnstile.stop())
  const rig: Rig = {
    turnstile,
    answer: () => undefined,
    pings: 0,
    opened: 0,
    async send(method, sessionId, headers = {}, body = { jsonrpc: '2.0', id: 1, method: 'tools/list' }) {
      const response = await fetch(`${turnstile.proxyUrl}/stream/e`, {
        method,
        headers: { ...(sessionId !== '' && { 'mcp-session-id': sessionId }), ...headers },
        ...(method === 'POST' && { body: JSON.stringify(body) })
      })
      await response.arrayBuffer()
      return response
    },
    async open() {
      return (await rig.send('POST', '', {}, initialize)).headers.get('mcp-session-id')!
    },
    async row(id) {
      await turnstile.shipped()
      return (await turnstile.connections()).find(({ session_id }) => session_id === id)!
    }
  }
  return rig
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(10)
}

const stream = { accept: 'text/event-stream' }

void t.test(
  'a refusal with a known text ends the session at once, and a later 2xx opens it again',
  async t => {
    const rig = await start(t)
    for (const [status, body] of [
      [404, 'Not Found: Session not found'],
      [401, 'Unauthorized: Session not found'],
      [403, 'Unknown session ID'],
      [410, 'Session expired'],
      [400, rpcError(-32000, 'Bad Request: No valid session ID provided')],
      [503, rpcError(-32600, 'Session not found')],
      [200, rpcError(-32600, 'Session not found')],
      [200, rpcError(-32001, 'Session not found')]
    ] as const) {
      const id = await rig.open()
      rig.answer = ({ response }) =>
        typeof body === 'string' ? plain(response, status, body) : json(response, status, body)
      await rig.send('POST', id)
      t.match(await rig.row(id), { reason: 'gone', request_count: 1 }, `${status} ${JSON.stringify(body)}`)
      t.equal(await rig.turnstile.count('e'), 0)
      rig.answer = () => undefined
      await rig.send('POST', id)
      const row = await rig.row(id)
      t.match(row, { reason: null, request_count: 2, disconnect_at: row.connect_at, client_name: 'agent' })
      t.equal(await rig.turnstile.count('e'), 1)
      await rig.send('DELETE', id)
      await rig.send('POST', id)
      t.match(await rig.row(id), { reason: 'delete' }, 'a DELETE is final')
    }
    t.equal(rig.pings, 0, 'nobody had to ask')
  }
)

void t.test('an event stream that says so at its start is no use of the session', async t => {
  const rig = await start(t)
  const id = await rig.open()
  rig.answer = ({ response }) => {
    const message = JSON.stringify(rpcError(-32600, 'Session not found'))
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
    setTimeout(() => response.end(`data: ${message}\n\n`), 20)
    return true
  }
  await rig.send('POST', id)
  const first = await rig.row(id)
  t.match(first, { reason: 'gone', request_count: 1 })
  await rig.send('POST', id)
  await rig.send('POST', 'made-up')
  const { bytes_in: _in, bytes_out: _out, error_count: _errors, ...rest } = first
  t.match(await rig.row(id), rest, 'asking again changes nothing but what passed')
  t.equal(await rig.row('made-up'), undefined, 'what the gateway does not know begins nothing')
})

void t.test('a ping that the gateway accepts begins no session', async t => {
  const rig = await start(t)
  rig.answer = ({ isPing, response }) => !isPing && plain(response, 404)
  await rig.send('POST', 'made-up')
  await until(() => rig.pings === 1)
  const id = await rig.open()
  t.match(await rig.row(id), { reason: null })
  t.equal(await rig.row('made-up'), undefined)
})

void t.test('what is no request of a session begins none, whatever it is answered', async t => {
  const rig = await start(t)
  rig.answer = ({ response }) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.end('data: {"jsonrpc":"2.0","method":"notifications/message"}\n\n')
    return true
  }
  await rig.send('PUT', 'made-up')
  await rig.send('OPTIONS', 'made-up')
  await rig.send('POST', 'made-up', { 'mcp-protocol-version': '2026-07-28' })
  rig.answer = () => undefined
  const id = await rig.open()
  t.match(await rig.row(id), { reason: null })
  t.equal(await rig.row('made-up'), undefined)
})

void t.test('refusals that say nothing of the session end nothing, and nobody asks', async t => {
  const rig = await start(t)
  const id = await rig.open()
  const notRouted: Answer = ({ response }) => plain(response, 404, 'Session not found')
  for (const [method, answer] of [
    ['POST', ({ response }) => json(response, 404, rpcError(-32601, 'Method not found'))],
    ['POST', ({ response }) => json(response, 400, rpcError(-32000, 'Mcp-Session-Id header is required'))],
    ['POST', ({ response }) => json(response, 200, rpcError(-32603, 'Session not found'))],
    ['POST', ({ response }) => json(response, 401, { error: 'Session expired' })],
    ['PUT', notRouted],
    ['PATCH', notRouted],
    ['PROPFIND', notRouted],
    ['HEAD', notRouted],
    ['OPTIONS', notRouted],
    ['GET', notRouted]
  ] as const satisfies [string, Answer][]) {
    rig.answer = answer
    await rig.send(method, id)
    t.match(await rig.row(id), { reason: null }, method)
  }
  t.equal(rig.pings, 0)
})

void t.test('a 404 without a word: the gateway is asked, and knows the session', async t => {
  const rig = await start(t)
  for (const [method, headers, answer] of [
    ['GET', stream, ({ request, response }) => request.method === 'GET' && plain(response, 404)],
    ['DELETE', {}, ({ request, response }) => request.method === 'DELETE' && plain(response, 404)],
    ['POST', {}, ({ isPing, response }) => !isPing && plain(response, 404, '404 page not found')]
  ] as const satisfies [string, Record<string, string>, Answer][]) {
    const id = await rig.open()
    rig.answer = answer
    const pings = rig.pings
    const sentAt = new Date().toISOString()
    await rig.send(method, id, headers)
    await until(async () => (await rig.row(id)).last_seen_at > sentAt)
    t.ok(rig.pings > pings)
    t.match(await rig.row(id), { reason: null }, method)
  }
})

void t.test('an ingress answers for a while: gone, and open again with the next 2xx', async t => {
  const rig = await start(t)
  const id = await rig.open()
  rig.answer = ({ response }) => plain(response, 404, 'default backend - 404')
  await rig.send('POST', id)
  await until(async () => (await rig.row(id)).reason === 'gone')
  t.equal(await rig.turnstile.count('e'), 0)
  rig.answer = () => undefined
  await rig.send('POST', id)
  t.match(await rig.row(id), { reason: null, request_count: 2 })
  t.equal(await rig.turnstile.count('e'), 1)
})

void t.test('with --confirm-suspects=false such a 404 counts at once', async t => {
  const rig = await start(t, '--confirm-suspects=false')
  const id = await rig.open()
  rig.answer = ({ response }) => plain(response, 404)
  await rig.send('POST', id)
  t.match(await rig.row(id), { reason: 'gone' })
  rig.answer = () => undefined
  await rig.send('GET', id, stream)
  t.match(await rig.row(id), { reason: null })
  t.equal(rig.pings, 0)
})

void t.test('a new id in the answer to a request of an old one: one session, of the same client', async t => {
  const rig = await start(t)
  const id = await rig.open()
  await until(async () => (await rig.row(id)).client_name === 'agent')
  rig.answer = ({ response }) => void response.setHeader('mcp-session-id', 'renewed')
  await rig.send('POST', id)
  t.match(await rig.row(id), { reason: 'gone' })
  t.match(await rig.row('renewed'), {
    reason: null,
    client_name: 'agent',
    client_version: '1',
    protocol_version: '2025-06-18'
  })
  t.equal(await rig.turnstile.count('e'), 1)
})

void t.test('server-everything restarts: it answers its old sessions with 400', async t => {
  const everything = await startEverything('streamableHttp')
  const turnstile = await Turnstile.start(everything.url, t.testdir(), ['--stream-path', '/mcp'])
  t.teardown(() => turnstile.stop())
  const client = new Client({ name: 'c', version: '1' })
  client.onerror = () => undefined
  const transport = new StreamableHTTPClientTransport(new URL('/mcp', turnstile.proxyUrl))
  await client.connect(transport)
  t.teardown(() => client.close())
  t.equal(await turnstile.count(), 1)
  await everything.stop()
  const again = await startEverything('streamableHttp', Number(new URL(everything.url).port))
  t.teardown(() => again.stop())
  await until(async () => (await turnstile.count()) === 0)
  await turnstile.shipped()
  t.match(await turnstile.connections(), [{ reason: 'gone', client_name: 'c' }])
})
