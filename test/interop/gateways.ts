// Owns gateways of other projects, with their own layouts: how each is started in front of `server-everything`, where its
// doors are, and what the proxy must be told of its paths.
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { everythingOnStdio, LOOPBACK, startEverything } from '../support/everything.js'
import { startServerProcess } from '../support/server-process.js'
import { npmFile, pythonProgram } from './install.js'
import type { Server, TransportName } from './servers.js'

/** One way into a gateway. */
export interface Door {
  path: string
  transport: TransportName
  /** The endpoint that its sessions are counted for. */
  endpointId: string
  /** The gateway issues no session ids. */
  sessionless?: boolean
}

export interface RunningGateway {
  url: string
  doors: Door[]
  /** What stands before the names of its tools. */
  prefix?: string
  /** What lets clients in. */
  headers?: Record<string, string>
}

export interface GatewayKind {
  name: string
  /** Flags of mcp-turnstile for its paths. */
  flags: string[]
  /** `directory`: an empty one for what it keeps. */
  start(run: Run, directory: string): Promise<RunningGateway>
}

/** Waits for a process, and sees to it that it is ended; its URL. */
export type Run = (starting: Promise<Server>) => Promise<string>

const newSecret = (): string => randomBytes(32).toString('hex')

const bearer = (token: string): { authorization: string } => ({ authorization: `Bearer ${token}` })

const supergateway = (transport: 'sse' | 'streamableHttp', door: Door): GatewayKind => ({
  name: `supergateway 4.0, ${transport}`,
  flags: ['--stream-path', '/mcp', '--sse-path', '/sse'],
  async start(run) {
    const program = npmFile('supergateway/dist/index.js')
    const bridged = ['--stdio', everythingOnStdio.join(' '), '--outputTransport', transport, '--stateful']
    const url = await run(
      startServerProcess(port => ({
        file: process.execPath,
        args: ['--import', LOOPBACK, program, ...bridged, '--port', String(port)]
      }))
    )
    return { url, doors: [door] }
  }
})

const npmMcpProxy: GatewayKind = {
  name: 'mcp-proxy 6.7 (npm)',
  flags: ['--stream-path', '/mcp', '--sse-path', '/sse', '--message-path', '/messages'],
  async start(run) {
    const program = npmFile('mcp-proxy/dist/bin/mcp-proxy.mjs')
    const url = await run(
      startServerProcess(port => ({
        file: process.execPath,
        args: [program, '--host', '127.0.0.1', '--port', String(port), '--', ...everythingOnStdio]
      }))
    )
    return {
      url,
      doors: [
        { path: '/mcp', transport: 'streamable', endpointId: 'default' },
        { path: '/sse', transport: 'sse', endpointId: 'default' }
      ]
    }
  }
}

/** Two servers by name, and one without. */
const pythonMcpProxy: GatewayKind = {
  name: 'mcp-proxy 0.13 (Python)',
  flags: [
    ...['--stream-path', '/mcp,/servers/{name}/mcp', '--sse-path', '/sse,/servers/{name}/sse'],
    ...['--message-path', '/messages,/servers/{name}/messages']
  ],
  async start(run) {
    const command = everythingOnStdio.join(' ')
    const named = ['one', 'two'].flatMap(name => ['--named-server', name, command])
    const url = await run(
      startServerProcess(port => ({
        file: pythonProgram('mcpproxy', 'mcp-proxy'),
        args: ['--port', String(port), ...named, ...everythingOnStdio]
      }))
    )
    const doors = [
      { base: '', endpointId: 'default' },
      { base: '/servers/one', endpointId: 'one' },
      { base: '/servers/two', endpointId: 'two' }
    ].flatMap(({ base, endpointId }): Door[] => [
      { path: `${base}/mcp`, transport: 'streamable', endpointId },
      { path: `${base}/sse`, transport: 'sse', endpointId }
    ])
    return { url, doors }
  }
}

const liteLlm: GatewayKind = {
  name: 'LiteLLM 1.108',
  flags: [
    ...['--stream-path', '/mcp,/mcp/{server},/{server}/mcp', '--sse-path', '/mcp/sse'],
    ...['--message-path', '/mcp/sse/messages']
  ],
  async start(run, directory) {
    const everything = await run(startEverything('streamableHttp'))
    const config = join(directory, 'config.yaml')
    const servers = { one: { url: `${everything}/mcp`, transport: 'http' } }
    await writeFile(config, JSON.stringify({ mcp_servers: servers }))
    const key = `sk-${newSecret()}`
    const url = await run(
      startServerProcess(port => ({
        file: pythonProgram('litellm', 'litellm'),
        args: ['--config', config, '--host', '127.0.0.1', '--port', String(port), '--telemetry', 'False'],
        env: { LITELLM_MASTER_KEY: key, LITELLM_LOCAL_MODEL_COST_MAP: 'True' }
      }))
    )
    return {
      url,
      headers: bearer(key),
      prefix: 'one-',
      doors: [
        { path: '/mcp', transport: 'streamable', endpointId: 'default' },
        { path: '/mcp/one', transport: 'streamable', endpointId: 'one' },
        { path: '/one/mcp', transport: 'streamable', endpointId: 'one' },
        { path: '/mcp/sse', transport: 'sse', endpointId: 'default' }
      ]
    }
  }
}

/** It compresses its legacy streams for clients that accept that. */
const contextForge: GatewayKind = {
  name: 'ContextForge 1.0',
  flags: [
    ...['--stream-path', '/servers/{id}/mcp', '--sse-path', '/servers/{id}/sse'],
    ...['--message-path', '/servers/{id}/message']
  ],
  async start(run, directory) {
    const everything = await run(startEverything('streamableHttp'))
    const [email, password] = ['admin@example.com', newSecret()]
    const url = await run(
      startServerProcess(port => ({
        file: pythonProgram('contextforge', 'mcpgateway'),
        args: ['--host', '127.0.0.1', '--port', String(port)],
        env: {
          // Where it calls itself.
          HOST: '127.0.0.1',
          PORT: String(port),
          DATABASE_URL: `sqlite:///${directory}/mcp.db`,
          JWT_SECRET_KEY: newSecret(),
          AUTH_ENCRYPTION_SECRET: newSecret(),
          BASIC_AUTH_PASSWORD: newSecret(),
          PLATFORM_ADMIN_EMAIL: email,
          PLATFORM_ADMIN_PASSWORD: password,
          SSRF_ALLOW_LOCALHOST: 'true'
        }
      }))
    )
    const ask = async <T>(path: string, body?: object, headers = {}): Promise<T> => {
      const response = await fetch(url + path, {
        headers: { 'content-type': 'application/json', ...headers },
        ...(body && { method: 'POST', body: JSON.stringify(body) })
      })
      if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
      return (await response.json()) as T
    }
    const { access_token } = await ask<{ access_token: string }>('/auth/login', { email, password })
    const headers = bearer(access_token)
    const peer = { name: 'everything', url: `${everything}/mcp`, transport: 'STREAMABLEHTTP' }
    await ask('/gateways', peer, headers)
    const tools = await ask<{ id: string }[]>('/tools', undefined, headers)
    const server = { name: 'all', associated_tools: tools.map(tool => tool.id) }
    const { id: endpointId } = await ask<{ id: string }>('/servers', { server }, headers)
    const base = `/servers/${endpointId}`
    const stream = await fetch(`${url}${base}/sse`, { headers })
    if (stream.headers.get('content-encoding') !== 'gzip') throw new Error('its streams are not compressed')
    await stream.body!.cancel()
    return {
      url,
      headers,
      prefix: 'everything-',
      doors: [
        { path: `${base}/mcp`, transport: 'streamable', endpointId, sessionless: true },
        { path: `${base}/sse`, transport: 'sse', endpointId }
      ]
    }
  }
}

export const gatewayKinds: GatewayKind[] = [
  supergateway('sse', { path: '/sse', transport: 'sse', endpointId: 'default' }),
  supergateway('streamableHttp', { path: '/mcp', transport: 'streamable', endpointId: 'default' }),
  npmMcpProxy,
  pythonMcpProxy,
  liteLlm,
  contextForge
]
