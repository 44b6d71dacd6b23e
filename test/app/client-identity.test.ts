// Owns who a client is, end to end: what an operator sees of clients that write their names in unusual ways.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type ConnectionJson, Turnstile } from '../support/turnstile.js'

const result = { protocolVersion: '2025-06-18', capabilities: {} }
const clientInfo = { name: 'größe-клиент', version: '1' }
const initialize = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo }
}

let sessions = 0
const streams = new Map<string, ServerResponse>()

/** Opens sessions, but at `/stream/stateless…`, and streams of the legacy transport. */
async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const url = req.url ?? ''
  if (req.method === 'GET') {
    const id = `s${++sessions}`
    streams.set(id, res)
    res.writeHead(200, { 'content-type': 'text/event-stream' })
    res.write(`event: endpoint\ndata: /message?sessionId=${id}\n\n`)
    return
  }
  const isInitialize = (await text(req)).includes('"initialize"')
  const message = JSON.stringify({ jsonrpc: '2.0', id: 1, result })
  if (url.startsWith('/message')) {
    res.writeHead(202).end()
    if (isInitialize) streams.get(/sessionId=(.*)/.exec(url)![1]!)?.write(`data: ${message}\n\n`)
    return
  }
  const id = url.startsWith('/stream/stateless') ? '' : `s${++sessions}`
  res.writeHead(200, { 'content-type': 'application/json', ...(isInitialize && { 'mcp-session-id': id }) })
  res.end(message)
}

const upstream = createServer((req, res) => void answer(req, res)).listen(0, '127.0.0.1')
await once(upstream, 'listening')
const turnstile = await Turnstile.start(
  `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`,
  t.testdir()
)
t.teardown(async () => {
  await turnstile.stop()
  upstream.closeAllConnections()
  upstream.close()
})

/** Sends one request as bytes, the body in chunks, and waits for its response. */
async function send(path: string, parts: string[], ...fields: string[]): Promise<void> {
  const socket = connect(Number(new URL(turnstile.proxyUrl).port), '127.0.0.1')
  const closed = once(socket, 'close')
  const head = [
    `POST ${path} HTTP/1.1`,
    'Host: x',
    ...fields,
    'Transfer-Encoding: chunked',
    'Connection: close'
  ]
  socket.resume().write(`${head.join('\r\n')}\r\n\r\n`)
  for (const part of [...parts, '']) {
    socket.write(`${Buffer.byteLength(part).toString(16)}\r\n${part}\r\n`)
    // The parts are to arrive one by one.
    await sleep(20)
  }
  await closed
}

/** The rows of an endpoint, oldest first, once they match. */
async function expectRows(t: Test, endpointId: string, expected: Partial<ConnectionJson>[]): Promise<void> {
  let rows: ConnectionJson[] = []
  for (let attempt = 0; attempt < 100; attempt++) {
    await turnstile.shipped()
    rows = (await turnstile.connections(`&endpoint_id=${endpointId}`)).reverse()
    const isRight = (row: ConnectionJson, i: number): boolean =>
      Object.entries(expected[i] ?? {}).every(([name, value]) => row[name as keyof ConnectionJson] === value)
    if (rows.length === expected.length && rows.every(isRight)) break
    await sleep(50)
  }
  t.match(rows, expected)
  t.equal(rows.length, expected.length)
}

const named = { client_name: clientInfo.name, client_version: '1', protocol_version: '2025-06-18' }
const body = JSON.stringify(initialize)

void t.test('a User-Agent in UTF-8', async t => {
  const userAgent = 'Client/1.0 (Mac OS 10_15_5 (Ergänzendes Update)) Версия'
  await send('/stream/utf8', [body], `User-Agent: ${userAgent}`)
  await expectRows(t, 'utf8', [{ ...named, user_agent: userAgent, transport_type: 2 }])
})

void t.test('initialize with an empty session id, and with one that the gateway forgot', async t => {
  await send('/stream/empty', [body], 'Mcp-Session-Id:')
  await expectRows(t, 'empty', [{ ...named, transport_type: 2 }])
  await send('/stream/stale', [body], 'Mcp-Session-Id: OLD')
  await expectRows(t, 'stale', [{ ...named, transport_type: 2 }])
})

void t.test('empty session ids of a client and of a gateway without sessions', async t => {
  await send('/stream/stateless', ['{"jsonrpc":"2.0","id":1,"method":"tools/list"}'], 'Mcp-Session-Id:')
  await expectRows(t, 'stateless', [{ transport_type: 3 }])
  await send('/stream/stateless-empty', [body])
  await expectRows(t, 'stateless-empty', [{ transport_type: 3, client_name: clientInfo.name }])
})

const { jsonrpc, id, method, params } = initialize
const meta = { 'io.modelcontextprotocol/clientInfo': clientInfo }

for (const [endpointId, parts, client = named] of [
  ['usual', [body]],
  ['params-first', [JSON.stringify({ params, method, id, jsonrpc })]],
  ['long-id', [JSON.stringify({ id: 'x'.repeat(600), method, params })]],
  ['float-id', [body.replace('"id":1', '"id":1.5')]],
  ['in-parts', [body.slice(0, 20), body.slice(20, 30), body.slice(30)]],
  ['batch', [`[${body}]`]],
  ['byte-order-mark', [`\ufeff${body}`]],
  [
    'meta',
    [JSON.stringify({ jsonrpc, id, method: 'tools/list', params: { _meta: meta } })],
    { client_name: clientInfo.name, protocol_version: null }
  ]
] as [string, string[], Partial<ConnectionJson>?][]) {
  void t.test(`the client of a legacy stream: ${endpointId}`, async t => {
    const stream = await fetch(`${turnstile.proxyUrl}/${endpointId}/sse`)
    const reader = stream.body!.getReader()
    const [, path] = /data: (.*)/.exec(Buffer.from((await reader.read()).value).toString())!
    await send(path!, parts)
    await expectRows(t, endpointId, [{ ...client, transport_type: 1 }])
    await reader.cancel()
  })
}

void t.test('session-less clients with different names, and a notification of one', async t => {
  const post = (name: string | undefined, method: string): Promise<void> => {
    const _meta = name === undefined ? {} : { 'io.modelcontextprotocol/clientInfo': { name, version: '1' } }
    const message = { jsonrpc: '2.0', id: 1, method, params: { name: 'echo', arguments: {}, _meta } }
    return send('/stream/stateless-names', [JSON.stringify(message)], 'MCP-Protocol-Version: 2026-07-28')
  }
  await post('one', 'tools/list')
  await post('two', 'tools/list')
  await post('two', 'tools/call')
  await post(undefined, 'notifications/cancelled')
  await expectRows(t, 'stateless-names', [
    { transport_type: 3, client_name: 'one', request_count: 1 },
    { transport_type: 3, client_name: 'two', request_count: 3 }
  ])
})
