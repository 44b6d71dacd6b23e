// Owns several stock rmcp gateways behind several proxies of one MariaDB: official clients whose requests go through any proxy,
// a rolling restart of the gateways, and a proxy that knows nothing while the store is away.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { CuttingProxy } from '../support/cutting-proxy.js'
import { Gateway, type GatewayName } from '../support/gateway.js'
import { checkInvariant } from '../support/invariant.js'
import { freshDatabase, startDatabase } from '../support/mariadb.js'
import { freePort } from '../support/ports.js'
import { Random } from '../support/random.js'
import { type ConnectedClient, connectClient, type TransportName } from '../support/sdk-clients.js'
import { call } from '../support/session-less.js'
import { Spray } from '../support/spray.js'
import { Turnstile } from '../support/turnstile.js'
import { clientKinds } from './clients.js'

const CLIENTS = Number(process.env['TEST_CLIENTS'] ?? 500)
const PYTHON_CLIENTS = 6
const PROXIES = 3
const AT_ONCE = 25
const ENDPOINTS = ['e0', 'e1', 'e2', 'e3', 'e4']
const SPREAD = 0.1
const ownTools = {
  echo: { name: 'echo', arguments: { text: 'hello' } },
  slow: { name: 'slow', arguments: { steps: 3, step_ms: 20 } }
}

const server = await startDatabase()
t.teardown(() => server.stop())

/** A gateway, with what reached it. */
interface Recorded {
  name: string
  gateway: Gateway
  spray: Spray
}

interface Rig {
  gateways: Recorded[]
  proxies: Turnstile[]
  upstream: string
  store: string
  /** All requests of clients go through here, each to the next proxy. */
  front: Spray
}

async function start(
  t: Test,
  names: readonly GatewayName[],
  proxies = PROXIES,
  through?: (url: string) => Promise<string>
): Promise<Rig> {
  const gateways = await Promise.all(
    names.map(async (name, i): Promise<Recorded> => {
      const gateway = await Gateway.start(name)
      t.teardown(() => gateway.stop())
      const spray = await Spray.start([gateway.url])
      t.teardown(() => spray.stop())
      return { name: `g${i}`, gateway, spray }
    })
  )
  const upstream = gateways.map(({ name, spray }) => `${name}=${spray.url}`).join()
  const database = await freshDatabase(server.url)
  const store = (await through?.(database)) ?? database
  const started: Turnstile[] = []
  for (let i = 0; i < proxies; i++) {
    const directory = t.testdir({ [`proxy-${i}`]: {} })
    const turnstile = await Turnstile.start(upstream, `${directory}/proxy-${i}`, ['--store', store])
    t.teardown(() => turnstile.stop())
    started.push(turnstile)
  }
  const front = await Spray.start(started.map(({ proxyUrl }) => proxyUrl))
  t.teardown(() => front.stop())
  return { gateways, proxies: started, upstream, store, front }
}

/** Runs a job for each item, so many at a time. */
async function forEach<T>(
  items: readonly T[],
  atOnce: number,
  job: (item: T) => Promise<void>
): Promise<void> {
  const left = items.values()
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const item of left) await job(item)
    })
  )
}

async function liveIn(gateway: Gateway): Promise<string[]> {
  const { endpoints } = await gateway.sessions()
  return Object.values(endpoints).flatMap(({ streamable, sse }) => [...streamable, ...sse])
}

/** What the store counts, by gateway. */
async function countsOf(proxy: Turnstile): Promise<Map<string, number>> {
  const all = await proxy.query<{ name: string; activeConnections: number }[]>('/api/mcp/upstreams')
  return new Map(all.map(({ name, activeConnections }) => [name, activeConnections]))
}

/** The counts of the store are those of the gateways themselves; resolves with them. */
async function checkCounts(t: Test, { gateways, proxies }: Rig): Promise<number[]> {
  const live = await Promise.all(gateways.map(async ({ gateway }) => (await liveIn(gateway)).length))
  for (const proxy of proxies) {
    let counts = await countsOf(proxy)
    // What is on its way arrives.
    for (let i = 0; i < 100 && gateways.some(({ name }, g) => counts.get(name) !== live[g]); i++) {
      await sleep(50)
      counts = await countsOf(proxy)
    }
    t.strictSame(
      gateways.map(({ name }) => counts.get(name)),
      live,
      'counts are those of the gateways'
    )
  }
  return live
}

/** No request of a client reached another gateway than that of its session. */
function checkAffinity(t: Test, { gateways }: Rig): void {
  const holders = new Map<string, string>()
  const strayed: unknown[] = []
  let own = 0
  for (const { name, spray } of gateways)
    for (const request of spray.requests) {
      const { sessionId, userAgent } = request
      if (userAgent === 'mcp-turnstile') own++
      else if (sessionId !== undefined) {
        if ((holders.get(sessionId) ?? name) !== name) strayed.push({ name, ...request })
        holders.set(sessionId, name)
      }
    }
  t.comment(`the proxies sent ${own} requests of their own`)
  t.strictSame(strayed, [], `no request of ${holders.size} sessions reached another gateway`)
}

const failuresOf = ({ front }: Rig): unknown[] =>
  front.requests.filter(
    ({ method, status }) => status === 0 || (status >= 400 && !(method === 'GET' && status === 405))
  )

const KINDS: [title: string, names: GatewayName[], transports: TransportName[]][] = [
  [
    'two of rmcp 3, two of rmcp 0',
    ['gateway-rmcp3', 'gateway-rmcp3', 'gateway-rmcp0', 'gateway-rmcp0'],
    ['streamable']
  ],
  [
    'four of rmcp 0',
    ['gateway-rmcp0', 'gateway-rmcp0', 'gateway-rmcp0', 'gateway-rmcp0'],
    ['streamable', 'sse']
  ]
]
for (const [title, names, transports] of KINDS)
  void t.test(
    `${title}: each session finds its gateway through every proxy`,
    { timeout: 300_000 },
    async t => {
      const random = new Random()
      t.comment(`seed ${random.seed}`)
      const rig = await start(t, names)
      const { front, proxies } = rig
      const startedAt = Date.now()
      const clients: ConnectedClient[] = []
      await Promise.all([
        forEach(
          Array.from({ length: CLIENTS }, (_, i) => i),
          AT_ONCE,
          async i => {
            const transport = transports[i % transports.length]!
            const client = await connectClient(front.url, transport, random.pick(ENDPOINTS))
            clients.push(client)
            for (let k = 0; k < 3; k++)
              if ((await client.echo('hello')) !== 'hello') throw new Error('no echo')
          }
        ),
        forEach(
          Array.from({ length: PYTHON_CLIENTS }, (_, i) => i),
          2,
          async i => {
            const transport = transports[i % transports.length]!
            const python = clientKinds.find(({ name }) => name === 'Python SDK 1.30')!
            const url = front.url + (transport === 'sse' ? '/python/sse' : '/stream/python')
            await (await python.visit({ ...ownTools, transport, url }, t.testdirName)).leave()
          }
        )
      ])
      t.comment(`${front.requests.length} requests in ${Date.now() - startedAt} ms`)
      const live = await checkCounts(t, rig)
      t.comment(`sessions by gateway: ${live.join(', ')}`)
      t.equal(
        live.reduce((a, b) => a + b),
        CLIENTS
      )
      const even = CLIENTS / names.length
      for (const count of live) t.ok(Math.abs(count - even) <= SPREAD * even, `${count} is near ${even}`)

      await forEach(clients, AT_ONCE, async client => {
        for (let k = 0; k < 3; k++) await client.echo('again')
      })
      await forEach(clients.splice(0, CLIENTS / 2), AT_ONCE, client => client.terminate())
      await checkCounts(t, rig)
      t.strictSame(failuresOf(rig), [], 'no request failed')
      checkAffinity(t, rig)
      await checkInvariant(t, proxies[0]!)
      await forEach(clients, AT_ONCE, client => client.close())
    }
  )

void t.test('clients without sessions go to every gateway', { timeout: 120_000 }, async t => {
  const rig = await start(t, ['gateway-rmcp3', 'gateway-rmcp3', 'gateway-rmcp3', 'gateway-rmcp3'])
  const { front, gateways, proxies } = rig
  await forEach(
    Array.from({ length: CLIENTS }, (_, i) => i),
    AT_ONCE,
    async i => {
      const client = { userAgent: `modern/${i % 20}` }
      const response = await call(`${front.url}/stream/e`, client, 'tools/call', {
        name: 'echo',
        arguments: { text: 'hello' }
      })
      if (!(await response.text()).includes('"text":"hello"')) throw new Error('no echo')
    }
  )
  const numbers = gateways.map(({ spray }) => spray.requests.length)
  t.comment(`requests by gateway: ${numbers.join(', ')}`)
  for (const number of numbers)
    t.ok(Math.abs(number - CLIENTS / 4) <= SPREAD * CLIENTS, `${number} is near ${CLIENTS / 4}`)
  t.strictSame(failuresOf(rig), [])
  await proxies[0]!.shipped()
  t.equal(await proxies[0]!.count('e'), 20, 'each client is one visit')
})

const SESSIONS = 200

void t.test(
  'with the store away a proxy that knows nothing asks the gateways',
  { timeout: 120_000 },
  async t => {
    let wire!: CuttingProxy
    const names: GatewayName[] = ['gateway-rmcp3', 'gateway-rmcp3', 'gateway-rmcp0', 'gateway-rmcp0']
    const rig = await start(t, names, 1, async url => {
      wire = await CuttingProxy.start(url)
      t.teardown(() => wire.stop())
      return wire.url
    })
    const { front, gateways } = rig
    const open = async (): Promise<string> => {
      const response = await post(front.url, initialize)
      await response.text()
      const sessionId = response.headers.get('mcp-session-id')!
      await (await post(front.url, initialized, sessionId)).text()
      return sessionId
    }
    const sessions: string[] = []
    await forEach(Array.from({ length: SESSIONS }), AT_ONCE, async () => void sessions.push(await open()))
    t.equal(sessions.length, SESSIONS)
    wire.close()
    const directory = t.testdir({ fresh: {} })
    const fresh = await Turnstile.start(rig.upstream, `${directory}/fresh`, ['--store', wire.url])
    t.teardown(() => fresh.stop())
    const before = gateways.map(({ spray }) => spray.requests.length)
    const took: number[] = []
    const statuses = new Map<number, number>()
    await forEach([...sessions, ...sessions.slice(0, 20)], AT_ONCE, async sessionId => {
      const startedAt = performance.now()
      const response = await post(fresh.proxyUrl, echo, sessionId)
      took.push(performance.now() - startedAt)
      await response.text()
      statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1)
    })
    t.strictSame([...statuses], [[200, SESSIONS + 20]], 'all reach their gateway')
    const again = performance.now()
    await forEach(sessions, AT_ONCE, async sessionId => {
      await (await post(fresh.proxyUrl, echo, sessionId)).text()
    })
    const known = (performance.now() - again) / SESSIONS
    const own = gateways.map(
      ({ spray }, i) =>
        spray.requests.slice(before[i]).filter(({ userAgent }) => userAgent === 'mcp-turnstile').length
    )
    for (const pings of own) t.ok(pings <= SESSIONS, `${pings} pings`)
    const sorted = took.toSorted((a, b) => a - b)
    t.comment(
      `asked ${own.join(', ')} times; with asking: median ${sorted[sorted.length >> 1]!.toFixed(1)} ms, ` +
        `slowest ${sorted.at(-1)!.toFixed(1)} ms; known: ${known.toFixed(1)} ms a request`
    )
    wire.open()
  }
)

const LOAD_CLIENTS = 12

void t.test('a rolling restart loses nothing', { timeout: 300_000 }, async t => {
  const ports = [await freePort(), await freePort()]
  const startOne = (i: number): Promise<Gateway> =>
    Gateway.start('gateway-rmcp3', ['--port', String(ports[i])])
  const gateways = [await startOne(0), await startOne(1)]
  t.teardown(() => Promise.all(gateways.map(gateway => gateway.stop())))
  const upstream = ports.map((port, i) => `g${i}=http://127.0.0.1:${port}`).join()
  const store = await freshDatabase(server.url)
  const directory = t.testdir({ a: {}, b: {} })
  const proxies: Turnstile[] = []
  for (const name of ['a', 'b']) {
    const started = await Turnstile.start(upstream, `${directory}/${name}`, ['--store', store])
    t.teardown(() => started.stop())
    proxies.push(started)
  }
  const front = await Spray.start(proxies.map(({ proxyUrl }) => proxyUrl))
  t.teardown(() => front.stop())
  const [proxy] = proxies as [Turnstile]
  const random = new Random()
  const failures: string[] = []
  let running = true
  let sessions = 0
  const visit = async (lastsMs: number): Promise<void> => {
    const endAt = Date.now() + lastsMs
    const opened = await post(front.url, initialize)
    const sessionId = opened.headers.get('mcp-session-id')!
    await opened.text()
    sessions++
    const expect = async (status: number, asked: Promise<Response>): Promise<void> => {
      const response = await asked
      const text = await response.text()
      if (response.status !== status) failures.push(`${response.status}: ${text}`)
    }
    await expect(202, post(front.url, initialized, sessionId))
    while (Date.now() < endAt) {
      await expect(200, post(front.url, echo, sessionId))
      await sleep(random.int(20, 200))
    }
    await expect(202, post(front.url, undefined, sessionId))
  }
  const load = Promise.all(
    Array.from({ length: LOAD_CLIENTS }, async () => {
      while (running)
        await visit(random.int(5_000, 20_000)).catch((error: unknown) => failures.push(String(error)))
    })
  )
  const startedAt = Date.now()
  await sleep(3_000)
  for (const i of [0, 1]) {
    const path = `${proxy.adminUrl}/api/mcp/upstreams/g${i}/drain`
    t.equal((await fetch(path, { method: 'PUT' })).status, 200)
    for (;;) {
      const all = await proxy.query<{ name: string; safeToStop: boolean }[]>('/api/mcp/upstreams')
      if (all.find(({ name }) => name === `g${i}`)!.safeToStop) break
      await sleep(100)
    }
    t.comment(`g${i} is safe to stop after ${Date.now() - startedAt} ms`)
    t.strictSame(await liveIn(gateways[i]!), [], 'it has no session')
    await gateways[i]!.stop()
    await sleep(1_000)
    gateways[i] = await startOne(i)
    t.equal((await fetch(path, { method: 'DELETE' })).status, 200)
    await sleep(3_000)
  }
  running = false
  await load
  t.comment(`${sessions} sessions, ${front.requests.length} requests`)
  t.strictSame(failures, [], 'no request failed')
  await Promise.all(proxies.map(each => each.shipped()))
  const reasons = new Set((await proxy.connections()).map(({ reason }) => reason))
  t.strictSame([...reasons], ['delete'], 'no session is gone')
})

const rpc = (method: string, params: object, id?: number): string =>
  JSON.stringify({ jsonrpc: '2.0', method, params, ...(id === undefined ? {} : { id }) })
const initialize = rpc(
  'initialize',
  { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'interop', version: '1' } },
  0
)
const initialized = rpc('notifications/initialized', {})
const echo = rpc('tools/call', { name: 'echo', arguments: { text: 'hello' } }, 1)

/** A POST to endpoint `e`; without a body the DELETE of the session. */
const post = (url: string, body?: string, sessionId?: string): Promise<Response> =>
  fetch(`${url}/stream/e`, {
    method: body === undefined ? 'DELETE' : 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(sessionId !== undefined && { 'mcp-session-id': sessionId })
    },
    body: body ?? null
  })
