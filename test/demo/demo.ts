// Owns `npm run demo`: two real MCP servers behind the proxy, twenty clients that keep working, and a rolling restart of both
// servers, with the counts beside it.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEverything } from '../support/everything.js'
import { freePort } from '../support/ports.js'
import { Turnstile } from '../support/turnstile.js'
import { DemoCrowd } from './demo-crowd.js'

/** How long clients work before, between and after the restarts. Chosen: long enough to read what is printed. */
const PAUSE_MS = 2_000
const ROW_MS = 500
const BAR_WIDTH = 24

interface GatewayRow {
  name: string
  activeConnections: number
  draining: boolean
  safeToStop: boolean
  state: string
}

const directory = mkdtempSync(join(tmpdir(), 'mcp-turnstile-demo-'))
const ports = { one: await freePort(), two: await freePort() }
const names = ['one', 'two'] as const
const servers = {
  one: await startEverything('streamableHttp', ports.one),
  two: await startEverything('streamableHttp', ports.two)
}
const upstreams = names.map(name => `${name}=${servers[name].url}`).join(',')
const turnstile = await Turnstile.start(upstreams, directory, ['--stream-path', '/mcp'])
const crowd = new DemoCrowd(new URL('/mcp', turnstile.proxyUrl))

console.log(`Two MCP servers, ${servers.one.url}/mcp and ${servers.two.url}/mcp, are the gateways "one" and "two".
mcp-turnstile is in front of them:
  clients    ${turnstile.proxyUrl}/mcp
  dashboard  ${turnstile.adminUrl}/
`)

console.log('Twenty clients of ten people arrive. Each of them calls a tool again and again.\n')
for (let i = 0; i < 20; i++) await crowd.arrive()
printHead()
await printFor(PAUSE_MS)

for (const name of names) {
  printNote(`Gateway "${name}" must restart. It is drained: new sessions go to the other one.`)
  await drain('PUT', name)
  // Clients leave, as clients do, and others come. Nobody is thrown out.
  const leaving = await sessionsOf(name)
  while (!(await gateway(name)).safeToStop) {
    for (const sessionId of leaving.splice(0, 2)) {
      await crowd.leave(sessionId)
      await crowd.arrive()
    }
    await printRow()
    await sleep(ROW_MS)
  }
  printNote(`Gateway "${name}" is safe to stop. It restarts.`)
  await servers[name].stop()
  servers[name] = await startEverything('streamableHttp', ports[name])
  await drain('DELETE', name)
  await printFor(PAUSE_MS)
}

console.log(`
Both gateways have been restarted. ${crowd.calls} tool calls were made meanwhile; ${crowd.failures} failed.
Now you can ask, for example:
`)
const minute = new Date(Math.floor(Date.now() / 60_000) * 60_000).toISOString()
await ask('How many are connected, and how many people are that?', '/api/connections/endpoint/count')
await ask('Who uses it most?', '/api/mcp/principals?limit=3')
await ask('Who was connected in the last day?', '/api/connections/endpoint?limit=2')
await ask(
  'How many were connected at each minute?',
  `/api/connections/time-series?start_time=${minute}&end_time=${minute}`
)

if (process.stdin.isTTY) {
  console.log(`Look at the dashboard at ${turnstile.adminUrl}/, or connect a client of your own to
${turnstile.proxyUrl}/mcp. Ctrl-C ends the demo.`)
  process.once('SIGINT', () => void end())
} else {
  await end()
}

async function query<T>(path: string): Promise<T> {
  return (await (await fetch(new URL(path, turnstile.adminUrl))).json()) as T
}

async function gateways(): Promise<GatewayRow[]> {
  const rows = await query<GatewayRow[]>('/api/mcp/upstreams')
  return rows.filter(({ name }) => name in servers)
}

async function gateway(name: string): Promise<GatewayRow> {
  return (await gateways()).find(row => row.name === name)!
}

async function sessionsOf(name: string): Promise<string[]> {
  const { connections } = await query<{ connections: { sessionId: string }[] }>(
    `/api/mcp/connections?upstream=${name}`
  )
  return connections.map(({ sessionId }) => sessionId)
}

async function drain(method: 'PUT' | 'DELETE', name: string): Promise<void> {
  await fetch(new URL(`/api/mcp/upstreams/${name}/drain`, turnstile.adminUrl), { method })
}

function printHead(): void {
  console.log(`  time      sessions  people   ${'gateway one'.padEnd(BAR_WIDTH + 12)} gateway two`)
}

function printNote(text: string): void {
  console.log(`\n  ${text}`)
}

async function printRow(): Promise<void> {
  const { connect_num, principal_num } = await query<{ connect_num: number; principal_num: number }>(
    '/api/connections/endpoint/count'
  )
  const bars = (await gateways()).map(({ activeConnections, draining, state }) => {
    const bar = '█'.repeat(Math.min(activeConnections, BAR_WIDTH))
    const note = state === 'down' ? 'restarting' : draining ? 'draining' : ''
    return `${String(activeConnections).padStart(2)} ${bar} ${note}`.padEnd(BAR_WIDTH + 12)
  })
  const time = new Date().toISOString().slice(11, 19)
  const counts = `${String(connect_num).padStart(8)}  ${String(principal_num).padStart(6)}`
  console.log(`  ${time}  ${counts}   ${bars.join(' ')}`)
}

async function printFor(ms: number): Promise<void> {
  const until = Date.now() + ms
  while (Date.now() < until) {
    await printRow()
    await sleep(ROW_MS)
  }
}

async function ask(what: string, path: string): Promise<void> {
  const url = new URL(path, turnstile.adminUrl).href
  const response = await (await fetch(url)).text()
  console.log(`${what}\n  curl '${url}'\n  ${response.replaceAll('},{', '},\n   {')}\n`)
}

async function end(): Promise<void> {
  await crowd.end()
  await turnstile.stop()
  await Promise.all(names.map(name => servers[name].stop()))
  rmSync(directory, { recursive: true })
  process.exit(0)
}
