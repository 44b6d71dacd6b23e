// Owns a small upstream of the legacy HTTP+SSE transport that announces its messages in whichever way a test says.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { constants, createBrotliCompress, createDeflate, createDeflateRaw, createGzip } from 'node:zlib'
import type { Test } from 'tap'

/** How streams are compressed, by a name of ours. */
export const compressors = {
  gzip: { coding: 'gzip', make: () => createGzip(), flush: constants.Z_SYNC_FLUSH },
  deflate: { coding: 'deflate', make: () => createDeflate(), flush: constants.Z_SYNC_FLUSH },
  'raw deflate': { coding: 'deflate', make: () => createDeflateRaw(), flush: constants.Z_SYNC_FLUSH },
  br: { coding: 'br', make: () => createBrotliCompress(), flush: constants.BROTLI_OPERATION_FLUSH }
} as const

export interface LegacyServerOptions {
  /** The data of the endpoint event of the stream with this id at this target. */
  announce: (id: string, target: string) => string
  compressor?: keyof typeof compressors
  /** The stream that a message is for; undefined: `404`. Without it, the one whose id is in the target. */
  idOf?: (target: string, ids: string[]) => string | undefined
}

export interface LegacyServer {
  readonly url: URL
  /** The streams that are open, by their ids. */
  readonly ids: string[]
}

const idWithin = (target: string, ids: string[]): string | undefined =>
  ids.find(id => decodeURIComponent(target).includes(id))

/** Starts it; it is stopped at the end of the test. Ids are `ID1abcdef`, `ID2abcdef` and so on. */
export async function startLegacyServer(t: Test, options: LegacyServerOptions): Promise<LegacyServer> {
  const { announce, idOf = idWithin } = options
  const streams = new Map<string, (event: string) => void>()
  let opened = 0
  const open = (request: IncomingMessage, response: ServerResponse): void => {
    const id = `ID${++opened}abcdef`
    streams.set(id, writerOf(response, options.compressor))
    streams.get(id)!(`event: endpoint\ndata: ${announce(id, request.url!)}\n\n`)
    response.once('close', () => streams.delete(id))
  }
  const server = createServer((request, response) => {
    if (request.method === 'GET') return open(request, response)
    let body = ''
    request.on('data', (part: Buffer) => (body += part.toString()))
    request.once('end', () => {
      const write = streams.get(idOf(request.url!, [...streams.keys()]) ?? '')
      response.writeHead(write ? 202 : 404).end()
      const { id } = JSON.parse(body || '{}') as { id?: number }
      const result = {
        protocolVersion: '2024-11-05',
        capabilities: {},
        serverInfo: { name: 's', version: '1' }
      }
      if (id !== undefined)
        write?.(`event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', id, result })}\n\n`)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  return {
    url,
    get ids() {
      return [...streams.keys()]
    }
  }
}

function writerOf(response: ServerResponse, name: keyof typeof compressors | undefined) {
  const headers = { 'content-type': 'text/event-stream' }
  if (name === undefined) {
    response.writeHead(200, headers)
    return (event: string) => void response.write(event)
  }
  const { coding, make, flush } = compressors[name]
  response.writeHead(200, { ...headers, 'content-encoding': coding })
  const compressor = make()
  compressor.on('data', (part: Buffer) => response.write(part))
  return (event: string) => {
    compressor.write(event)
    compressor.flush(flush)
  }
}

/** An open legacy stream as its client has it. */
export interface LegacyClient {
  /** The target that its endpoint event announced. */
  readonly messageTarget: string
  /** Posts a message on a connection of its own; the status. */
  post(target?: string, body?: object): Promise<number>
  close(): Promise<void>
}

/** The `initialize` request of a client with this name. */
export const initializeOf = (name: string): object => ({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2024-11-05', capabilities: {}, clientInfo: { name, version: '1' } }
})

/** Opens a stream, on a connection of its own, and reads its endpoint event. Messages go to `messageOrigin`. */
export async function openLegacyStream(
  url: string,
  messageOrigin = new URL(url).origin
): Promise<LegacyClient> {
  const aborter = new AbortController()
  const headers = { connection: 'close', accept: 'text/event-stream' }
  const response = await fetch(url, { headers, signal: aborter.signal })
  const reader = response.body!.getReader()
  const first = Buffer.from((await reader.read()).value).toString()
  const { pathname, search } = new URL(/data: ?(.*)/.exec(first)![1]!, url)
  return {
    messageTarget: pathname + search,
    async post(target = pathname + search, body = { jsonrpc: '2.0', method: 'notifications/initialized' }) {
      const init = { method: 'POST', headers: { connection: 'close' }, body: JSON.stringify(body) }
      return (await fetch(messageOrigin + target, init)).status
    },
    async close() {
      aborter.abort()
      await reader.closed.catch(() => undefined)
    }
  }
}
