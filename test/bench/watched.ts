// Owns `npm run bench:watchers`: what it costs proxied requests that 1,000 subscribers to live monitoring see sessions open
// and close, 10,000 a minute. The sessions come and go in quiet rounds too.
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, type IncomingMessage, type OutgoingHttpHeaders, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Turnstile } from '../support/turnstile.js'
import { compare } from './alternating.js'
import { startUpstream } from './parts/set-up.js'
import { Helper, node, OTHER_CPU, PROXY_CPU } from './processes.js'

const SESSIONS_PER_MINUTE = 10_000
const CONNECTIONS = 16

const directory = mkdtempSync(join(tmpdir(), 'turnstile-bench-'))
const upstream = await startUpstream(PROXY_CPU)
const turnstile = await Turnstile.start(upstream.url, directory)
const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
const visits: Promise<void>[] = []
const coming = setInterval(() => visits.push(visit()), 60_000 / SESSIONS_PER_MINUTE)

async function visit(): Promise<void> {
  const opened = await ask('POST', {})
  await ask('DELETE', { 'mcp-session-id': opened.headers['mcp-session-id'] })
}

async function ask(method: string, headers: OutgoingHttpHeaders): Promise<IncomingMessage> {
  const sent = request(`${turnstile.proxyUrl}/stream/json`, { method, agent, headers }).end()
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  await once(response.resume(), 'close')
  return response
}

let messages = 0
await compare('quiet → watched', turnstile, async () => {
  const watchers = new Helper<number>(OTHER_CPU, node('./watchers.js', turnstile.adminUrl))
  await watchers.read()
  return async () => {
    messages += await watchers.ask()
    await watchers.stop()
  }
})
clearInterval(coming)
await Promise.all(visits)
agent.destroy()
console.log(`  ${messages} messages to subscribers in all`)
await turnstile.stop()
await upstream.stop()
rmSync(directory, { recursive: true })
