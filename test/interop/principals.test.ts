// Owns on whose behalf real clients use real servers: with OAuth (FastMCP's verifier, the Python SDK's auth), with API keys, and with
// neither; tokens that are refreshed, sessions that two people use, and sessions that make room.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { JWT_KEY, jwt } from '../support/jwt.js'
import { freePort } from '../support/ports.js'
import { type ServerProcess, startServerProcess } from '../support/server-process.js'
import { call } from '../support/session-less.js'
import { type ConnectionJson, Turnstile } from '../support/turnstile.js'
import { clientKinds, type Task } from './clients.js'
import {
  keyedPythonServer,
  protectedPythonServer,
  protectedSdkServer,
  python,
  pythonServer
} from './install.js'
import { serverKinds } from './servers.js'

const ISSUER = 'https://login.example'
const KEYS = ['key of ann', 'key of bob']
const VISITING = /^(TypeScript SDK|Python SDK|FastMCP|Go SDK)/
const clients = clientKinds.filter(({ name }) => VISITING.test(name))
const { tools } = serverKinds.find(({ name }) => name === 'FastMCP server http')!
/** Often enough that the visit would idle in between if each token were another client. */
const REFRESH_MS = 5_000
const REFRESHING_MS = 60_000

let nonce = 0
const bearer = (sub: string): Record<string, string> => {
  const claims = { iss: ISSUER, sub, client_id: 'tester', nonce: ++nonce }
  return { authorization: `Bearer ${jwt({ ...claims, exp: Math.floor(Date.now() / 1_000) + 3_600 })}` }
}

interface Place {
  server: ServerProcess
  /** For what clients keep. */
  home: string
  turnstile: Turnstile
  url: string
}

async function start(
  t: Test,
  command: (port: number, proxyUrl: string) => [file: string, ...args: string[]],
  flags: string[] = []
): Promise<Place> {
  const proxyPort = await freePort()
  const proxyUrl = `http://127.0.0.1:${proxyPort}`
  const server = await startServerProcess(port => {
    const [file, ...args] = command(port, proxyUrl)
    return { file, args }
  })
  t.teardown(() => server.stop())
  const directory = t.testdir()
  const turnstile = await Turnstile.start(server.url, directory, [
    ...['--listen', `127.0.0.1:${proxyPort}`, '--stream-path', '/mcp'],
    ...flags
  ])
  t.teardown(() => turnstile.stop())
  return { server, turnstile, home: directory, url: `${proxyUrl}/mcp` }
}

const fastmcp = (port: number, proxyUrl: string): [string, ...string[]] => [
  python('fastmcp'),
  ...[protectedPythonServer, proxyUrl, String(port), JWT_KEY, ISSUER]
]
const sdk = (port: number, proxyUrl: string): [string, ...string[]] => [
  python('mcp2'),
  ...[protectedSdkServer, proxyUrl, String(port), JWT_KEY, ISSUER]
]

const servers: {
  name: string
  command: Parameters<typeof start>[1]
  headers: (person: 'ann' | 'bob') => Record<string, string>
  expected: (person: 'ann' | 'bob') => object
}[] = [
  ...[
    { name: 'FastMCP with its JWT verifier', command: fastmcp },
    { name: "the Python SDK's auth", command: sdk }
  ].map(server => ({
    ...server,
    headers: bearer,
    expected: (person: string) => ({
      ...{ principal: `${ISSUER}#${person}`, principal_kind: 'oauth', oauth_client: 'tester' }
    })
  })),
  {
    name: 'API keys',
    command: port => [python('fastmcp'), keyedPythonServer, String(port), KEYS.join()],
    headers: person => ({ 'x-api-key': `key of ${person}` }),
    expected: () => ({ principal: /^key-[\w-]{22}$/, principal_kind: 'key', oauth_client: null })
  },
  {
    name: 'no auth',
    command: port => [python('fastmcp'), pythonServer, 'http', String(port)],
    headers: () => ({}),
    expected: () => ({ principal: null, principal_kind: null, oauth_client: null })
  }
]

for (const { name, command, headers, expected } of servers)
  void t.test(name, { timeout: 180_000 }, async t => {
    const { turnstile, home, url } = await start(t, command)
    if (name !== 'no auth') t.equal((await fetch(url, { method: 'POST', body: '{}' })).status, 401)
    const known = new Set<number>()
    const principals = new Map<string, Set<string | null>>()
    for (const client of clients) {
      for (const person of ['ann', 'bob'] as const) {
        const task: Task = { ...tools, transport: 'streamable', url, headers: headers(person) }
        const visit = await client.visit(task, home)
        t.equal(visit.report.echo, 'hello', client.name)
        await turnstile.shipped()
        const rows = (await turnstile.connections()).filter(({ id }) => !known.has(id))
        // FastMCP's client and that of the Python SDK 2 look the same, so they are one visit.
        for (const row of rows) {
          known.add(row.id)
          t.match(row, expected(person), `${client.name} of ${person}`)
          principals.set(person, (principals.get(person) ?? new Set()).add(row.principal))
        }
        await visit.leave()
      }
    }
    const [ann, bob] = [[...principals.get('ann')!], [...principals.get('bob')!]]
    t.equal(ann.length, 1, 'the same person with each client')
    t.equal(bob.length, 1)
    if (name !== 'no auth') t.not(ann[0], bob[0])
  })

void t.test('a token that is refreshed every 5 s is one visit', { timeout: 120_000 }, async t => {
  const { turnstile, url } = await start(t, fastmcp, ['--session-idle-timeout', '8s'])
  const until = Date.now() + REFRESHING_MS
  let requests = 0
  for (; Date.now() < until; requests++) {
    const client = { userAgent: 'agent', authorization: bearer('ann').authorization! }
    const response = await call(url, client, 'tools/call', { name: 'echo', arguments: { text: 'x' } })
    t.equal(response.status, 200)
    await response.arrayBuffer()
    await sleep(REFRESH_MS)
  }
  await turnstile.shipped()
  t.match(await turnstile.connections(), [
    { transport_type: 3, principal: `${ISSUER}#ann`, request_count: requests, reason: null }
  ])
})

void t.test('two people on one session are told once; the idlest of one makes room', async t => {
  const gateway = serverKinds.find(({ name }) => name === 'gateway-rmcp0')!
  const server = await gateway.start(t.testdir())
  t.teardown(() => server.stop())
  const flags = ['--max-sessions-per-principal', '2', '--when-full', 'evict-idlest']
  const turnstile = await Turnstile.start(server.url, t.testdir(), flags)
  t.teardown(() => turnstile.stop())
  const open = async (person: string): Promise<string> => {
    const response = await fetch(`${turnstile.proxyUrl}/stream/e`, {
      method: 'POST',
      headers: { ...jsonTypes, ...bearer(person) },
      body: JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params: initialize })
    })
    await response.arrayBuffer()
    const id = response.headers.get('mcp-session-id')!
    await use(id, person, { jsonrpc: '2.0', method: 'notifications/initialized' })
    return id
  }
  const use = async (id: string, person: string, message: object = ping): Promise<number> => {
    const response = await fetch(`${turnstile.proxyUrl}/stream/e`, {
      method: 'POST',
      headers: { ...jsonTypes, ...bearer(person), 'mcp-session-id': id },
      body: JSON.stringify(message)
    })
    await response.arrayBuffer()
    return response.status
  }
  const first = await open('ann')
  for (const person of ['bob', 'carl', 'bob', 'ann']) t.equal(await use(first, person), 200)
  await turnstile.shipped()
  const told = turnstile.log.filter(({ msg }) => /two principals/.test(String(msg)))
  t.equal(told.length, 1)
  t.match(await turnstile.connections(), [{ principal: `${ISSUER}#ann` }] as Partial<ConnectionJson>[])

  const second = await open('ann')
  t.equal(await use(first, 'ann'), 200)
  const third = await open('ann')
  for (let live: string[] = []; live.length !== 2; live = (await server.live!('e')).sort()) await sleep(20)
  t.same((await server.live!('e')).sort(), [first, third].sort(), 'the gateway has ended it')
  await turnstile.shipped()
  t.match(
    (await turnstile.connections()).find(row => row.session_id === second),
    { reason: 'killed' }
  )
})

const jsonTypes = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
const ping = { jsonrpc: '2.0', id: 1, method: 'ping' }
const initialize = {
  protocolVersion: '2025-06-18',
  capabilities: {},
  clientInfo: { name: 'tester', version: '1' }
}
