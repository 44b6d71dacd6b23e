// Owns the clients that visit: each connects, lists the tools, calls two, tells what it got, and leaves when it is told.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import * as sdk2 from '@modelcontextprotocol/client'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { getDefaultEnvironment, StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { ProgressNotificationSchema } from '@modelcontextprotocol/sdk/types.js'
import {
  goClient,
  java,
  mcpGoClient,
  npmFile,
  python,
  pythonClient,
  type PythonPackage,
  pythonProgram,
  rustClient
} from './install.js'
import type { Call, Tools, TransportName } from './servers.js'

const VISIT_TIMEOUT_MS = 30_000

export interface Task extends Tools {
  transport: TransportName
  url: string
  /** What each request has; not all clients can be told. */
  headers?: Record<string, string>
}

/** What a client got. */
export interface Report {
  tools: string[]
  echo: string
  slow: string
  /** Absent where the client does not show it. */
  progress?: number[]
}

export const withoutProgress = ({ tools, echo, slow }: Report): Report => ({ tools, echo, slow })

export interface Visit {
  report: Report
  leave(): Promise<unknown>
}

export interface ClientKind {
  name: string
  transports: TransportName[]
  /** `home`: a folder for what it keeps. */
  visit(task: Task, home: string): Promise<Visit>
  /** Servers that it does not get on with, with or without the proxy. */
  cannot?(server: string, transport: TransportName): boolean
}

const info = { name: 'turnstile-interop', version: '1.0.0' }

/**
 * One visit through an SDK's client object. Progress is taken from the notifications: the SDKs' own `onprogress` is
 * gone when the answer comes in the same piece as the last progress.
 */
async function inProcess(
  task: Tools,
  client: { listTools(): Promise<{ tools: { name: string }[] }>; close(): Promise<void> },
  callTool: (call: Call & { _meta?: { progressToken: string } }) => Promise<unknown>,
  progress: number[]
): Promise<Visit> {
  const tools = toolNames(await client.listTools())
  const echo = firstText(await callTool(task.echo))
  const slow = firstText(await callTool({ ...task.slow, _meta: { progressToken: 'slow' } }))
  return { report: { tools, echo, slow, progress }, leave: () => client.close() }
}

const toolNames = ({ tools }: { tools: { name: string }[] }): string[] => tools.map(tool => tool.name)

const firstText = (result: unknown): string => (result as { content: { text: string }[] }).content[0]!.text

async function withSdk1(task: Tools, transport: Transport): Promise<Visit> {
  const client = new Client(info)
  const progress: number[] = []
  client.setNotificationHandler(ProgressNotificationSchema, ({ params }) => {
    progress.push(params.progress)
  })
  await client.connect(transport)
  return await inProcess(task, client, call => client.callTool(call), progress)
}

async function withSdk2(task: Task, mode: 'legacy' | 'auto'): Promise<Visit> {
  const url = new URL(task.url)
  const options = task.headers && { requestInit: { headers: task.headers } }
  const client = new sdk2.Client(info, { versionNegotiation: { mode } })
  const progress: number[] = []
  client.setNotificationHandler('notifications/progress', ({ params }) => {
    progress.push(params.progress)
  })
  const streamable = task.transport === 'streamable'
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- legacy clients still use it, so it is counted
  const legacy = (): sdk2.Transport => new sdk2.SSEClientTransport(url, options)
  await client.connect(streamable ? new sdk2.StreamableHTTPClientTransport(url, options) : legacy())
  return await inProcess(task, client, call => client.callTool(call), progress)
}

/** A program that takes its task as an argument, prints its report, and leaves at the end of its input. */
async function withProgram(command: string[], task: Task): Promise<Visit> {
  const [file, ...args] = command
  const child = spawn(file!, [...args, JSON.stringify(task)], { timeout: VISIT_TIMEOUT_MS })
  const exited = once(child, 'exit') as Promise<[number | null]>
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  const [line] = await Promise.race([once(createInterface(child.stdout), 'line'), exited])
  if (typeof line !== 'string') throw new Error(`${command.join(' ')} ended: ${errors}`)
  return {
    report: JSON.parse(line) as Report,
    async leave() {
      child.stdin.end()
      const [code] = await exited
      if (code !== 0) throw new Error(`${command.join(' ')} left with ${code}: ${errors}`)
    }
  }
}

const supergateway = npmFile('supergateway/dist/index.js')
const inspector = npmFile('@modelcontextprotocol/inspector/clients/launcher/build/index.js')
const mcpRemote = npmFile('mcp-remote/dist/proxy.js')
const run = promisify(execFile)

/** The inspector's command line: one connection for each thing that is asked. */
async function withInspector(task: Task, home: string): Promise<Visit> {
  const ask = async (method: string, call?: Call): Promise<unknown> => {
    const transport = task.transport === 'streamable' ? 'http' : 'sse'
    const args = ['--cli', task.url, '--transport', transport, '--method', method]
    if (call) {
      const pairs = Object.entries(call.arguments).map(([name, value]) => `${name}=${value}`)
      args.push('--tool-name', call.name, '--tool-arg', ...pairs)
    }
    const asked = run(process.execPath, [inspector, ...args], {
      env: { ...process.env, HOME: home },
      timeout: VISIT_TIMEOUT_MS
    })
    asked.child.stdin!.end()
    return JSON.parse((await asked).stdout)
  }
  const report = {
    tools: toolNames((await ask('tools/list')) as { tools: { name: string }[] }),
    echo: firstText(await ask('tools/call', task.echo)),
    slow: firstText(await ask('tools/call', task.slow))
  }
  return { report, leave: () => Promise.resolve() }
}

/** A program that makes a server out of another one's, on its standard input and output. */
const withBridge =
  (commandFor: (task: Task) => string[]) =>
  (task: Task, home: string): Promise<Visit> => {
    const [command, ...args] = commandFor(task)
    const env = { ...getDefaultEnvironment(), HOME: home, MCP_REMOTE_CONFIG_DIR: home }
    return withSdk1(task, new StdioClientTransport({ command: command!, args, env, stderr: 'ignore' }))
  }

const withPython =
  (name: PythonPackage) =>
  (task: Task): Promise<Visit> =>
    withProgram([python(name), pythonClient], task)

/** rmcp 0.x ends a legacy stream whose first message is not `initialize`; these begin with `server/discover`. */
const notOverSseOfRmcp0 = (server: string, transport: TransportName): boolean =>
  server === 'gateway-rmcp0' && transport === 'sse'

const withMcpRemote = withBridge(({ transport, url }) => {
  const strategy = transport === 'streamable' ? 'http-only' : 'sse-only'
  return [process.execPath, mcpRemote, url, '--allow-http', '--transport', strategy]
})

/** It hands on no progress. */
async function withSupergateway(task: Task, home: string): Promise<Visit> {
  const bridge = withBridge(({ transport, url }) => {
    const from = transport === 'streamable' ? '--streamableHttp' : '--sse'
    return [process.execPath, supergateway, from, url, '--logLevel', 'none']
  })
  const visit = await bridge(task, home)
  return { report: withoutProgress(visit.report), leave: () => visit.leave() }
}

const withMcpProxy = withBridge(({ transport, url }) => {
  const kind = transport === 'streamable' ? 'streamablehttp' : 'sse'
  return [pythonProgram('mcpproxy', 'mcp-proxy'), '--transport', kind, url]
})

const both: TransportName[] = ['streamable', 'sse']

export const clientKinds: ClientKind[] = [
  {
    name: 'TypeScript SDK 1.32',
    transports: both,
    visit(task) {
      const url = new URL(task.url)
      const options = task.headers && { requestInit: { headers: task.headers } }
      // eslint-disable-next-line @typescript-eslint/no-deprecated -- legacy clients still use it, so it is counted
      const legacy = (): Transport => new SSEClientTransport(url, options)
      const streamable = (): Transport => new StreamableHTTPClientTransport(url, options)
      return withSdk1(task, task.transport === 'streamable' ? streamable() : legacy())
    }
  },
  { name: 'TypeScript SDK 2.4', transports: both, visit: task => withSdk2(task, 'legacy') },
  {
    name: 'TypeScript SDK 2.4, mode auto',
    transports: ['streamable'],
    visit: task => withSdk2(task, 'auto')
  },
  { name: 'Python SDK 1.30', transports: both, visit: withPython('mcp1') },
  {
    name: 'Python SDK 2.3',
    transports: both,
    visit: withPython('mcp2'),
    cannot: notOverSseOfRmcp0
  },
  { name: 'FastMCP 4.1', transports: both, visit: withPython('fastmcp') },
  {
    name: 'Go SDK 1.8',
    transports: both,
    visit: task => withProgram([goClient], task),
    // It waits for the head of its GET stream, which a Java server sends with the first event.
    cannot: (server, transport) =>
      notOverSseOfRmcp0(server, transport) || (server === 'Java SDK server' && transport === 'streamable')
  },
  {
    name: 'mcp-go 1.2',
    transports: both,
    visit: task => withProgram([mcpGoClient], task),
    // It takes a revision for agreed on that it then does not know.
    cannot: (server, transport) =>
      notOverSseOfRmcp0(server, transport) || (server === 'Go SDK server' && transport === 'streamable')
  },
  { name: 'Java SDK 2.1', transports: both, visit: task => withProgram(java('Visitor'), task) },
  { name: 'rmcp 3.9', transports: ['streamable'], visit: task => withProgram([rustClient], task) },
  { name: 'Inspector 2.12 --cli', transports: both, visit: withInspector },
  { name: 'mcp-remote 0.15', transports: both, visit: withMcpRemote },
  { name: 'supergateway 4.0', transports: both, visit: withSupergateway },
  { name: 'mcp-proxy 0.13 (Python)', transports: both, visit: withMcpProxy }
]
