// Owns the servers that the clients visit: how each is started, where its endpoints are, what its tools are called.
import { startEverything } from '../support/everything.js'
import { Gateway, type GatewayName } from '../support/gateway.js'
import { startServerProcess } from '../support/server-process.js'
import { goServer, java, python, pythonServer } from './install.js'

/** After that time without a message sessions end, in the servers that can be told and in the proxy. */
export const IDLE_S = 5

export type TransportName = 'streamable' | 'sse'

export interface Call {
  name: string
  arguments: Record<string, string | number>
}

export interface Tools {
  echo: Call
  /** Tells its progress in three steps. */
  slow: Call
}

export interface Server {
  readonly url: string
  /** The server's own live sessions of an endpoint; undefined where it does not tell. */
  live?(endpointId: string): Promise<string[]>
  stop(): Promise<void>
}

export interface ServerKind {
  name: string
  transports: TransportName[]
  /** Flags of mcp-turnstile for its paths. */
  flags: string[]
  tools: Tools
  /** The names of the clients that visit it; all, where it is absent. */
  visitors?: RegExp
  path(transport: TransportName, endpointId: string): string
  /** `directory`: an empty one for what it keeps. */
  start(directory: string): Promise<Server>
}

const ownTools: Tools = {
  echo: { name: 'echo', arguments: { text: 'hello' } },
  slow: { name: 'slow', arguments: { steps: 3, step_ms: 20 } }
}

export const everythingTools: Tools = {
  echo: { name: 'echo', arguments: { message: 'hello' } },
  slow: { name: 'trigger-long-running-operation', arguments: { duration: 0.06, steps: 3 } }
}

const gateway = (name: GatewayName, transports: TransportName[]): ServerKind => ({
  name,
  transports,
  flags: [],
  tools: ownTools,
  path: (transport, endpointId) =>
    transport === 'streamable' ? `/stream/${endpointId}` : `/${endpointId}/sse`,
  async start() {
    const gateway = await Gateway.start(name, ['--keep-alive', String(IDLE_S)])
    return {
      url: gateway.url,
      async live(endpointId) {
        const { streamable, sse } = (await gateway.sessions()).endpoints[endpointId] ?? {
          streamable: [],
          sse: []
        }
        return [...streamable, ...sse]
      },
      stop: () => gateway.stop()
    }
  }
})

/** With fixed paths: everything is the endpoint `default`. */
const fixedPaths = {
  flags: ['--stream-path', '/mcp', '--sse-path', '/sse'],
  path: (transport: TransportName) => (transport === 'streamable' ? '/mcp' : '/sse')
}

const everything = (transport: TransportName, mode: 'streamableHttp' | 'sse'): ServerKind => ({
  ...fixedPaths,
  name: `server-everything ${mode}`,
  transports: [transport],
  tools: everythingTools,
  start: () => startEverything(mode)
})

const fastmcp = (transport: TransportName, mode: 'http' | 'sse'): ServerKind => ({
  name: `FastMCP server ${mode}`,
  transports: [transport],
  flags: [...fixedPaths.flags, '--message-path', '/messages/'],
  path: fixedPaths.path,
  tools: ownTools,
  start: () =>
    startServerProcess(port => ({ file: python('fastmcp'), args: [pythonServer, mode, String(port)] }))
})

/** Streamable HTTP at `/mcp`, the legacy transport at `/sse`, both in one process. */
const sdkServer = (
  name: string,
  messagePath: string,
  command: (port: number, directory: string) => string[]
): ServerKind => ({
  name,
  transports: ['streamable', 'sse'],
  flags: [...fixedPaths.flags, '--message-path', messagePath],
  path: fixedPaths.path,
  tools: ownTools,
  visitors: /^(TypeScript SDK|Go SDK|mcp-go|Java SDK)/,
  start: directory =>
    startServerProcess(port => {
      const [file, ...args] = command(port, directory)
      return { file: file!, args }
    })
})

export const serverKinds: ServerKind[] = [
  gateway('gateway-rmcp0', ['streamable', 'sse']),
  gateway('gateway-rmcp3', ['streamable']),
  everything('streamable', 'streamableHttp'),
  everything('sse', 'sse'),
  fastmcp('streamable', 'http'),
  fastmcp('sse', 'sse'),
  sdkServer('Go SDK server', '/sse', port => [goServer, 'go-sdk', String(port)]),
  sdkServer('mcp-go server', '/message', port => [goServer, 'mcp-go', String(port)]),
  sdkServer('Java SDK server', '/messages', (port, directory) => [...java('Server'), String(port), directory])
]
