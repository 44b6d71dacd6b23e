// Owns a small upstream that speaks like the rmcp gateway on the wire, all revisions at once, for tests that need many sessions fast.
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

export interface FakeGateway {
  readonly url: string
  /** Live sessions as `endpoint session`. */
  readonly sessions: Set<string>
  /** The standalone GET streams that are open, by the same names. */
  readonly streams: Map<string, ServerResponse>
  /** How many it has, silent ones too. */
  connections(): number
  /** Closes all connections, silent ones too. */
  hangUp(): void
  stop(): Promise<void>
}

/** `instead` sees every request first, and may answer it: then it returns true. */
export async function startFakeGateway(
  instead: (request: IncomingMessage, response: ServerResponse) => boolean = () => false,
  port = 0,
  host = '127.0.0.1'
): Promise<FakeGateway> {
  const sessions = new Set<string>()
  const streams = new Map<string, ServerResponse>()
  const sockets = new Set<Socket>()
  const server = createServer((request, response) => {
    request.resume().once('end', () => {
      if (!instead(request, response)) answer(sessions, streams, request, response)
    })
  })
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.keepAliveTimeout = 60_000
  await new Promise<void>(resolve => server.listen(port, host, resolve))
  return {
    url: `http://${host}:${(server.address() as AddressInfo).port}`,
    sessions,
    streams,
    connections: () => sockets.size,
    hangUp: () => sockets.forEach(socket => socket.destroy()),
    async stop() {
      sockets.forEach(socket => socket.destroy())
      await new Promise(resolve => server.close(resolve))
    }
  }
}

function answer(
  sessions: Set<string>,
  streams: Map<string, ServerResponse>,
  request: IncomingMessage,
  response: ServerResponse
): void {
  const url = new URL(request.url!, 'http://gateway')
  const stream = /^\/stream\/([^/]+)$/.exec(url.pathname)?.[1]
  const legacy = /^\/([^/]+)\/sse$/.exec(url.pathname)?.[1]
  if (stream !== undefined) answerStreamable(sessions, streams, stream, request, response)
  else if (legacy !== undefined) {
    const id = randomUUID()
    sessions.add(`${legacy} ${id}`)
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(`event: endpoint\ndata: /message?sessionId=${id}&endpointId=${legacy}\n\n`)
    response.once('close', () => sessions.delete(`${legacy} ${id}`))
  } else if (url.pathname === '/message') {
    const known = sessions.has(`${url.searchParams.get('endpointId')} ${url.searchParams.get('sessionId')}`)
    response.writeHead(known ? 202 : 404).end()
  } else response.writeHead(404).end()
}

function answerStreamable(
  sessions: Set<string>,
  streams: Map<string, ServerResponse>,
  endpointId: string,
  request: IncomingMessage,
  response: ServerResponse
): void {
  const id = request.headers['mcp-session-id'] as string | undefined
  if (request.headers['mcp-protocol-version'] === '2026-07-28') answerSessionless(request, response)
  else if (id === undefined) {
    const issued = randomUUID()
    sessions.add(`${endpointId} ${issued}`)
    response.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': issued })
    response.end('{"jsonrpc":"2.0","id":1,"result":{}}')
  } else if (request.method === 'DELETE') {
    sessions.delete(`${endpointId} ${id}`)
    response.writeHead(202).end()
  } else if (!sessions.has(`${endpointId} ${id}`)) response.writeHead(404).end('Not Found: Session not found')
  else if (request.method === 'GET') {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
    streams.set(`${endpointId} ${id}`, response)
  } else response.writeHead(202).end()
}

/** As MCP 2026-07-28 has it: 404 is an unknown method, and a listen stream stays open. */
function answerSessionless(request: IncomingMessage, response: ServerResponse): void {
  const method = request.headers['mcp-method']
  if (method === 'subscriptions/listen') {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': here\n\n')
    return
  }
  response.writeHead(method === 'no/such' ? 404 : 200, { 'content-type': 'application/json' })
  response.end('{"jsonrpc":"2.0","id":1,"result":{}}')
}
