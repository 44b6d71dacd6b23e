// Owns the gateway of the fault run, a process to be killed and started again: it keeps sessions, and misbehaves on request.
//
// Arguments: port. Paths: `/stream/e` as the fake gateway has it; below it, what goes wrong is the last segment's name.
import { randomUUID } from 'node:crypto'
import { createServer, type ServerResponse } from 'node:http'

const LARGE = Buffer.alloc(1_000_000, 'x')
const EVENT_INTERVAL_MS = 500
/** Node's own, 511, overflows when all clients come again at once after a restart; Linux lets each of those wait for a second. */
const BACKLOG = 4_096

const sessions = new Set<string>()

const faults: Record<string, (response: ServerResponse) => void> = {
  large: response => response.writeHead(200, { 'content-length': LARGE.length }).end(LARGE),
  'reset-before': response => void response.socket?.resetAndDestroy(),
  'reset-amid'(response) {
    response.writeHead(200, { 'content-length': LARGE.length })
    response.write(LARGE.subarray(1000), () => response.socket?.resetAndDestroy())
  },
  short(response) {
    response.writeHead(200, { 'transfer-encoding': 'chunked' })
    response.write('data', () => response.socket?.end())
  },
  never: () => undefined,
  garbage: response => void response.socket?.end('SSH-2.0-OpenSSH_9.2\r\n')
}

const server = createServer((request, response) => {
  const fault = faults[request.url!.split('/').at(-1)!]
  request.on('error', () => undefined)
  response.on('error', () => undefined)
  if (fault !== undefined) {
    request.resume()
    return fault(response)
  }
  request.resume().once('end', () => {
    const id = request.headers['mcp-session-id'] as string | undefined
    if (request.headers['mcp-protocol-version'] === '2026-07-28')
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': 2 }).end('{}')
    else if (request.method === 'POST' && id === undefined) {
      const issued = randomUUID()
      sessions.add(issued)
      response.writeHead(200, { 'mcp-session-id': issued, 'content-length': 2 }).end('{}')
    } else if (id === undefined || !sessions.has(id)) response.writeHead(404, { 'content-length': 0 }).end()
    else if (request.method !== 'GET') response.writeHead(202, { 'content-length': 0 }).end()
    else {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      const timer = setInterval(() => response.write('data: {}\n\n'), EVENT_INTERVAL_MS)
      response.once('close', () => clearInterval(timer))
    }
  })
})
server.listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: BACKLOG }, () =>
  console.log('listening')
)
