// Owns `npm run demo`: a real MCP server, the proxy in front of it, clients that come and go, and what can be asked.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { startEverything } from '../support/everything.js'
import { Turnstile } from '../support/turnstile.js'

const directory = mkdtempSync(join(tmpdir(), 'mcp-turnstile-demo-'))
const server = await startEverything('streamableHttp')
const turnstile = await Turnstile.start(server.url, directory, ['--stream-path', '/mcp'])

console.log(`MCP server     ${server.url}/mcp   (@modelcontextprotocol/server-everything)`)
console.log(
  `mcp-turnstile  ${turnstile.proxyUrl}/mcp   in front of it; its admin port is ${turnstile.adminUrl}`
)
console.log(`dashboard      ${turnstile.adminUrl}/\n`)

async function connect(): Promise<{ client: Client; transport: StreamableHTTPClientTransport }> {
  const client = new Client({ name: 'demo-client', version: '1.0.0' })
  const transport = new StreamableHTTPClientTransport(new URL('/mcp', turnstile.proxyUrl))
  await client.connect(transport)
  await client.callTool({ name: 'echo', arguments: { message: 'hello' } })
  return { client, transport }
}

async function ask(what: string, path: string): Promise<void> {
  const url = new URL(path, turnstile.adminUrl).href
  console.log(
    `${what}\n  curl '${url}'\n  ${(await (await fetch(url)).text()).replaceAll('},{', '},\n   {')}\n`
  )
}

const clients: Awaited<ReturnType<typeof connect>>[] = []
for (let i = 0; i < 5; i++) clients.push(await connect())
console.log('5 clients connected and called a tool.')
for (const { client, transport } of clients.slice(0, 2)) {
  await transport.terminateSession()
  await client.close()
}
console.log('2 of them said goodbye (DELETE) and left.\n')
await turnstile.shipped()

const minute = new Date(Math.floor(Date.now() / 60_000) * 60_000).toISOString()
await ask('How many are connected?', '/api/connections/endpoint/count')
await ask('Who was connected in the last day?', '/api/connections/endpoint?endpoint_id=default&limit=3')
await ask(
  'How many were it at each minute?',
  `/api/connections/time-series?start_time=${minute}&end_time=${minute}`
)

async function end(): Promise<void> {
  await Promise.all(clients.map(({ client }) => client.close()))
  await turnstile.stop()
  await server.stop()
  rmSync(directory, { recursive: true })
  process.exit(0)
}

if (process.stdin.isTTY) {
  console.log(`Try them, or point a client of your own at ${turnstile.proxyUrl}/mcp. Ctrl-C ends the demo.`)
  process.once('SIGINT', () => void end())
} else {
  await end()
}
