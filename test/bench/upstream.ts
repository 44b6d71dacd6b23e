// Owns the synthetic upstream of the benchmarks: answers any POST with a small JSON body, as a process of its own.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const BODY = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  result: { content: [{ type: 'text', text: 'x'.repeat(100) }] }
})

const server = createServer((request, response) => {
  request.resume().once('end', () => {
    const issued =
      request.headers['mcp-session-id'] === undefined ? { 'mcp-session-id': crypto.randomUUID() } : {}
    response
      .writeHead(200, { 'content-type': 'application/json', 'content-length': BODY.length, ...issued })
      .end(BODY)
  })
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
