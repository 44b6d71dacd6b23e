// Owns the main job end to end: official clients that come and go in every way, counted as the gateway itself counts.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { Gateway, type GatewayName } from '../support/gateway.js'
import { Random } from '../support/random.js'
import { connectClient, type TransportName } from '../support/sdk-clients.js'
import { Turnstile } from '../support/turnstile.js'

const SESSIONS = 300
const ENDPOINTS = ['e0', 'e1', 'e2', 'e3', 'e4']
const CROWD = 20
const AT_ONCE = 12
const SETTLE_TIMEOUT_MS = 10_000
const CROWD_FILE = fileURLToPath(new URL('./sdk-crowd.js', import.meta.url))

type Open = Record<string, string[]>

async function openByGateway(gateway: Gateway): Promise<Open> {
  const { endpoints } = await gateway.sessions()
  return Object.fromEntries(
    ENDPOINTS.map(id => [id, [...(endpoints[id]?.streamable ?? []), ...(endpoints[id]?.sse ?? [])].sort()])
  )
}

async function openByTurnstile(turnstile: Turnstile): Promise<Open> {
  const open = (await turnstile.connections()).filter(row => row.reason === null)
  return Object.fromEntries(
    ENDPOINTS.map(id => [
      id,
      open
        .filter(row => row.endpoint_id === id)
        .map(row => row.session_id)
        .sort()
    ])
  )
}

/** Opens one session, uses it, and leaves in one of the ways; some stay. */
async function visit(
  baseUrl: string,
  transport: TransportName,
  endpointId: string,
  leave: 'terminate' | 'close' | 'stay'
) {
  const client = await connectClient(baseUrl, transport, endpointId)
  if ((await client.echo('hello')) !== 'hello') throw new Error('the echo is not what was said')
  if (leave === 'terminate') await client.terminate()
  if (leave === 'close') await client.close()
  return client
}

async function killedCrowd(baseUrl: string, transport: TransportName): Promise<void> {
  const crowd = spawn(process.execPath, [CROWD_FILE, baseUrl, transport, String(CROWD)], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  await once(crowd.stdout, 'data')
  crowd.kill('SIGKILL')
  await once(crowd, 'exit')
}

for (const [name, transports] of [
  ['gateway-rmcp3', ['streamable']],
  ['gateway-rmcp0', ['streamable', 'sse']]
] as [GatewayName, TransportName[]][]) {
  void t.test(`${SESSIONS} sessions are counted as ${name} counts them`, { timeout: 180_000 }, async t => {
    const random = new Random()
    t.comment(`seed ${random.seed}`)
    const gateway = await Gateway.start(name)
    t.teardown(() => gateway.stop())
    const turnstile = await Turnstile.start(gateway.url, t.testdir())
    t.teardown(() => turnstile.stop())

    let polls = 0
    const polling = new AbortController()
    const poll = (async () => {
      while (!polling.signal.aborted) {
        const [each, all] = [
          await Promise.all(ENDPOINTS.map(id => turnstile.count(id))),
          await turnstile.count()
        ]
        if (each.some(count => count < 0) || all < 0) t.fail('a count below zero', { each, all })
        polls++
        await sleep(50)
      }
    })()

    const visits = Array.from({ length: SESSIONS - CROWD * transports.length }, () => ({
      transport: random.pick(transports),
      endpointId: random.pick(ENDPOINTS),
      leave: random.pick(['terminate', 'terminate', 'close', 'stay'] as const)
    }))
    const staying: { close(): Promise<void> }[] = []
    const crowds = Promise.all(transports.map(transport => killedCrowd(turnstile.proxyUrl, transport)))
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        for (let next = visits.pop(); next; next = visits.pop()) {
          const client = await visit(turnstile.proxyUrl, next.transport, next.endpointId, next.leave)
          if (next.leave === 'stay') staying.push(client)
        }
      })
    )
    await crowds
    polling.abort()
    await poll

    const deadline = Date.now() + SETTLE_TIMEOUT_MS
    while (Date.now() < deadline) {
      if (JSON.stringify(await openByTurnstile(turnstile)) === JSON.stringify(await openByGateway(gateway)))
        break
      await sleep(100)
    }
    const truth = await openByGateway(gateway)
    t.strictSame(await openByTurnstile(turnstile), truth, 'open sessions, id by id')
    for (const id of ENDPOINTS) t.equal(await turnstile.count(id), truth[id]!.length, `count of ${id}`)
    t.equal((await turnstile.connections()).length, SESSIONS, 'every session has a row')
    t.ok(polls > 0, `counts were polled ${polls} times meanwhile`)
    t.ok(staying.length > 0, 'some clients stayed')
    await Promise.all(staying.map(client => client.close()))
  })
}
