// Owns several gateways behind proxies of one store, seen from outside: where requests go, what is counted, and what happens when
// a gateway fails.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type FakeGateway, startFakeGateway } from '../support/fake-gateway.js'
import { Turnstile } from '../support/turnstile.js'

const NAMES = ['a', 'b', 'c'] as const
const SESSIONS = 30
const initialize = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}'
const use = '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"x"}}'

/** A gateway, and the requests that it got: `ping` or `message` of the proxy, or the session of a client's. */
interface Gateway extends FakeGateway {
  name: string
  own: string[]
  clients: string[]
}

async function startGateway(name: string, port = 0): Promise<Gateway> {
  const own: string[] = []
  const clients: string[] = []
  const gateway = await startFakeGateway(({ headers, url }) => {
    const session = headers['mcp-session-id'] ?? new URL(url!, 'http://g').searchParams.get('sessionId')
    const of = headers['user-agent'] === 'mcp-turnstile' ? own : clients
    if (session !== null) of.push(String(session))
    return false
  }, port)
  return { ...gateway, name, own, clients }
}

interface Rig {
  gateways: Gateway[]
  proxies: Turnstile[]
  start(name: string, flags?: string[]): Promise<Turnstile>
}

async function start(t: Test, proxies: number): Promise<Rig> {
  const gateways = await Promise.all(NAMES.map(name => startGateway(name)))
  t.teardown(() => Promise.all(gateways.map(gateway => gateway.stop())))
  const directory = t.testdir()
  const upstream = gateways.map(({ name, url }) => `${name}=${url}`).join()
  const startOne = async (name: string, flags = ['--store', `sqlite:${directory}/ledger.db`]) => {
    const turnstile = await Turnstile.start(upstream, `${directory}/${name}`, flags)
    t.teardown(() => turnstile.stop())
    return turnstile
  }
  const started: Turnstile[] = []
  for (let i = 0; i < proxies; i++) started.push(await startOne(`proxy-${i}`))
  return { gateways, proxies: started, start: startOne }
}

/** A POST to endpoint `e`. */
const post = (proxy: Turnstile, body: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${proxy.proxyUrl}/stream/e`, { method: 'POST', body, headers })

async function open(proxy: Turnstile): Promise<string> {
  const response = await post(proxy, initialize)
  await response.arrayBuffer()
  return response.headers.get('mcp-session-id')!
}

async function statusOf(proxy: Turnstile, session: string): Promise<number> {
  const response = await post(proxy, use, { 'mcp-session-id': session })
  await response.arrayBuffer()
  return response.status
}

const holderOf = (gateways: readonly Gateway[], session: string): Gateway =>
  gateways.find(({ sessions }) => sessions.has(`e ${session}`))!

void t.test('sessions spread evenly, and each reaches its gateway through every proxy', async t => {
  const { gateways, proxies } = await start(t, 2)
  const [first, second] = proxies as [Turnstile, Turnstile]
  const sessions: string[] = []
  for (let i = 0; i < SESSIONS; i++) sessions.push(await open(first))
  t.same(
    gateways.map(({ sessions }) => sessions.size),
    [SESSIONS / 3, SESSIONS / 3, SESSIONS / 3]
  )
  const statuses = await Promise.all(
    sessions.flatMap(session => [statusOf(first, session), statusOf(second, session)])
  )
  t.same(new Set(statuses), new Set([202]))
  for (const { clients, sessions } of gateways)
    t.ok(
      clients.every(session => sessions.has(`e ${session}`)),
      'no request reached another gateway'
    )
  await Promise.all(proxies.map(proxy => proxy.shipped()))
  for (const row of await first.connections())
    t.equal(row.upstream, holderOf(gateways, row.session_id).name, 'the row names the gateway')
  for (const name of NAMES) {
    const count = await first.query<{ connect_num: number }>(
      `/api/connections/endpoint/count?upstream=${name}`
    )
    t.equal(count.connect_num, SESSIONS / 3)
    t.equal((await first.connections(`&upstream=${name}`)).length, SESSIONS / 3)
    t.match(await first.query(`/api/mcp/connections?upstream=${name}&limit=1`), {
      activeConnections: SESSIONS / 3,
      totalConnections: SESSIONS / 3,
      connections: [{ upstream: name }]
    })
  }
  t.same(await first.connections('&upstream=other'), [])
})

void t.test('a legacy session reaches its gateway through every proxy', async t => {
  const { gateways, proxies } = await start(t, 2)
  const [first, second] = proxies as [Turnstile, Turnstile]
  const leaving = new AbortController()
  for (const gateway of gateways) {
    const stream = await fetch(`${first.proxyUrl}/e/sse`, {
      headers: { accept: 'text/event-stream' },
      signal: leaving.signal
    })
    const { value } = (await stream.body!.getReader().read()) as { value: Uint8Array }
    const path = /data: (\S+)/.exec(new TextDecoder().decode(value))![1]!
    const session = new URL(path, 'http://g').searchParams.get('sessionId')!
    t.ok(gateway.sessions.has(`e ${session}`), 'each stream goes to the gateway with the fewest')
    for (const proxy of [first, second, second]) {
      const message = await fetch(proxy.proxyUrl + path, { method: 'POST', body: use })
      t.equal(message.status, 202)
    }
    t.same(gateway.clients, [session, session, session])
  }
  leaving.abort()
})

void t.test('without the ledger the gateways are asked, once for each session', async t => {
  const rig = await start(t, 1)
  const { gateways, proxies } = rig
  const sessions = await Promise.all(Array.from({ length: SESSIONS }, () => open(proxies[0]!)))
  // Its own store knows no session: to it, that is like a store that is away.
  const fresh = await rig.start('fresh', [])
  const statuses = await Promise.all([...sessions, ...sessions].map(session => statusOf(fresh, session)))
  t.same(new Set(statuses), new Set([202]))
  for (const { own } of gateways) t.same(own.toSorted(), sessions.toSorted(), 'one ping for each session')
  for (const { clients, sessions } of gateways) t.ok(clients.every(session => sessions.has(`e ${session}`)))
  t.equal(await statusOf(fresh, 'nobodys'), 404, 'a session that no gateway has')
})

void t.test('a gateway fails, and comes back without its sessions', async t => {
  const { gateways, proxies } = await start(t, 1)
  const [proxy] = proxies as [Turnstile]
  const sessions: string[] = []
  for (let i = 0; i < SESSIONS; i++) sessions.push(await open(proxy))
  const [broken, ...others] = gateways as [Gateway, Gateway, Gateway]
  const lost = sessions.filter(session => holderOf(gateways, session) === broken)
  const kept = sessions.filter(session => !lost.includes(session))
  await broken.stop()

  const failure = await post(proxy, use, { 'mcp-session-id': lost[0]! })
  t.equal(failure.status, 502)
  t.match(await failure.json(), {
    jsonrpc: '2.0',
    error: { message: /The upstream a cannot be reached/, data: { upstream: 'a' } }
  })
  const later = await Promise.all(Array.from({ length: 10 }, () => open(proxy)))
  t.ok(
    later.every(session => others.some(({ sessions }) => sessions.has(`e ${session}`))),
    'new sessions go to the other gateways'
  )
  for (const session of kept) t.equal(await statusOf(proxy, session), 202)

  const returned = await startGateway('a', Number(new URL(broken.url).port))
  t.teardown(() => returned.stop())
  const isGone = (id: string): boolean => lost.includes(id)
  for (;;) {
    const rows = await proxy.connections()
    if (rows.filter(row => row.reason === 'gone').length === lost.length) {
      for (const { reason, session_id } of rows) t.equal(reason, isGone(session_id) ? 'gone' : null)
      break
    }
    await sleep(50)
  }
  t.ok(
    [...others].every(({ own }) => own.length === 0),
    'no session of another gateway was asked for'
  )
  const again = await Promise.all(Array.from({ length: 10 }, () => open(proxy)))
  t.same(new Set(again.map(session => holderOf([returned, ...others], session).name)), new Set(['a']))
})
