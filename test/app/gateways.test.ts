// Owns several gateways behind proxies of one store, seen from outside: where requests go, what is counted, and what happens when
// a gateway fails.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
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
  /** Ids of tasks that it created, and the methods of all requests about tasks. */
  tasks: Set<string>
  asked: string[]
  /** Of the proxy's own requests. */
  ownMethods: string[]
}

async function startGateway(name: string, port = 0): Promise<Gateway> {
  const own: string[] = []
  const clients: string[] = []
  const tasks = new Set<string>()
  const asked: string[] = []
  const ownMethods: string[] = []
  const gateway = await startFakeGateway(({ method: httpMethod = '', headers, url }, response) => {
    if (headers['user-agent'] === 'mcp-turnstile') ownMethods.push(httpMethod)
    const method = String(headers['mcp-method'])
    if (method === 'tools/call' || method.startsWith('tasks/')) {
      const id = String(headers['mcp-name'])
      if (method === 'tools/call') tasks.add(`${id}-of-${name}`)
      else asked.push(`${headers['user-agent'] === 'mcp-turnstile' ? 'own ' : ''}${method} ${id}`)
      const created = { resultType: 'task', taskId: `${id}-of-${name}`, status: 'working' }
      const result = method === 'tools/call' ? created : { status: 'working' }
      const isKnown = method === 'tools/call' || tasks.has(id)
      const outcome = isKnown ? { result } : { error: { code: -32602, message: 'no such task' } }
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, ...outcome }))
      return true
    }
    const session = headers['mcp-session-id'] ?? new URL(url!, 'http://g').searchParams.get('sessionId')
    const of = headers['user-agent'] === 'mcp-turnstile' ? own : clients
    if (session !== null) of.push(String(session))
    return false
  }, port)
  return { ...gateway, name, own, clients, tasks, asked, ownMethods }
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
  const metrics = await (await fetch(`${first.adminUrl}/metrics`)).text()
  for (const line of [
    'turnstile_sessions_active{endpoint="e",transport="streamable",upstream="b"} 10',
    'turnstile_requests_total{method="POST",code="202",upstream="b"} 10',
    'turnstile_upstream_errors_total{reason="unreachable"} 0',
    'turnstile_upstream_up{upstream="b"} 1'
  ])
    t.ok(metrics.includes(`${line}\n`), line)
  t.match(metrics, /turnstile_upstream_connections{state="idle",upstream="b"} \d/)
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

void t.test(
  'a session whose handshake goes through a proxy that does not know it is not ended by that',
  async t => {
    const rig = await start(t, 1)
    const { gateways, proxies } = rig
    const fresh = await rig.start('fresh', [])
    const session = await open(proxies[0]!)
    const initialized = '{"jsonrpc":"2.0","method":"notifications/initialized"}'
    const response = await post(fresh, initialized, { 'mcp-session-id': session })
    t.equal(response.status, 202)
    const holder = holderOf(gateways, session)
    t.same(holder.ownMethods, ['GET'], 'no message came before the first one of the client')
  }
)

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

void t.test('requests about a task reach the gateway that created it', async t => {
  const rig = await start(t, 1)
  const { gateways, proxies } = rig
  const [proxy] = proxies as [Turnstile]
  const about = async (via: Turnstile, method: string, name: string): Promise<string> => {
    const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': method, 'mcp-name': name }
    return await (await post(via, '{"jsonrpc":"2.0","id":1}', headers)).text()
  }
  const ids: string[] = []
  for (const tool of ['x', 'y', 'z']) {
    const { result } = JSON.parse(await about(proxy, 'tools/call', tool)) as { result: { taskId: string } }
    ids.push(result.taskId)
  }
  t.strictSame(
    gateways.map(({ tasks }) => tasks.size),
    [1, 1, 1],
    'tasks are spread'
  )
  for (const id of ids) t.match(await about(proxy, 'tasks/get', id), 'working')
  for (const { asked, tasks } of gateways) t.same(asked, [`tasks/get ${[...tasks][0]}`])

  const fresh = await rig.start('fresh')
  for (const id of ids)
    for (const method of ['tasks/get', 'tasks/cancel']) t.match(await about(fresh, method, id), 'working')
  for (const { asked, tasks } of gateways) {
    const own = asked.filter(what => what.startsWith('own '))
    t.same(own.toSorted(), ids.map(id => `own tasks/get ${id}`).toSorted(), 'each gateway is asked once')
    const [id] = tasks
    const clients = asked.filter(what => !what.startsWith('own ')).slice(1)
    t.same(clients, [`tasks/get ${id}`, `tasks/cancel ${id}`])
  }
  t.match(await about(fresh, 'tasks/get', 'nobodys'), 'no such task')
})

interface UpstreamJson {
  name: string
  state: string
  draining: boolean
  activeConnections: number
  requestsInFlight: number
  safeToStop: boolean
}

async function upstream(proxy: Turnstile, name: string): Promise<UpstreamJson> {
  const all = await proxy.query<UpstreamJson[]>('/api/mcp/upstreams')
  return all.find(upstream => upstream.name === name)!
}

/** Resolves once a gateway is as it is said here; the test's own timeout ends the wait. */
async function until(proxy: Turnstile, name: string, expected: Partial<UpstreamJson>): Promise<void> {
  const isAs = (found: UpstreamJson): boolean =>
    Object.entries(expected).every(([key, value]) => found[key as keyof UpstreamJson] === value)
  while (!isAs(await upstream(proxy, name))) await sleep(50)
}

async function drain(proxy: Turnstile, method: 'PUT' | 'DELETE', name: string): Promise<number> {
  const response = await fetch(`${proxy.adminUrl}/api/mcp/upstreams/${name}/drain`, { method })
  await response.arrayBuffer()
  return response.status
}

void t.test(
  'a drained gateway keeps its sessions, gets no new ones, and is safe to stop when they ended',
  async t => {
    const rig = await start(t, 2)
    const { gateways } = rig
    const [first, second] = rig.proxies as [Turnstile, Turnstile]
    const [a] = gateways as [Gateway, Gateway, Gateway]
    const sessions: string[] = []
    for (let i = 0; i < 6; i++) sessions.push(await open(first))
    await first.shipped()
    t.match(await first.query('/api/mcp/upstreams'), [
      { name: 'a', url: `${a.url}/`, state: 'up', draining: false, activeConnections: 2, safeToStop: false },
      { name: 'b', activeConnections: 2 },
      { name: 'c', activeConnections: 2, failingSince: null }
    ])

    t.equal(await drain(first, 'PUT', 'other'), 404)
    t.equal(await drain(first, 'PUT', 'a'), 200)
    // Within this time all proxies follow.
    await sleep(2_000)
    const before = a.sessions.size
    for (let i = 0; i < 6; i++) await Promise.all([open(first), open(second)])
    const third = await rig.start('third')
    for (let i = 0; i < 6; i++) await open(third)
    t.equal(a.sessions.size, before, 'one that starts later knows it from its start')

    const ofA = [...a.sessions].map(name => name.slice('e '.length))
    for (const session of ofA) t.equal(await statusOf(second, session), 202, 'its sessions go on')
    await second.shipped()
    t.match(await upstream(second, 'a'), { draining: true, activeConnections: ofA.length, safeToStop: false })
    for (const session of ofA) {
      const headers = { 'mcp-session-id': session }
      await fetch(`${second.proxyUrl}/stream/e`, { method: 'DELETE', headers })
    }
    await until(first, 'a', { safeToStop: true, activeConnections: 0, requestsInFlight: 0 })

    t.equal(await drain(second, 'DELETE', 'a'), 200)
    await until(first, 'a', { draining: false, safeToStop: false })
    await open(second)
    t.equal(a.sessions.size, 1, 'it gets the next session')
  }
)

void t.test(
  'a gateway that got another name is safe to stop when the sessions under its old name ended too',
  async t => {
    const gateway = await startGateway('old')
    t.teardown(() => gateway.stop())
    const directory = t.testdir()
    const before = await Turnstile.start(gateway.url, directory)
    const session = await open(before)
    await before.shipped()
    await before.stop()
    const proxy = await Turnstile.start(`new=${gateway.url}`, directory)
    t.teardown(() => proxy.stop())
    t.equal(await statusOf(proxy, session), 202, 'the session goes on')
    await proxy.shipped()

    t.equal(await drain(proxy, 'PUT', 'new'), 200)
    // Within this time all proxies follow.
    await sleep(2_000)
    const states = await proxy.query<{ name: string; activeConnections: number }[]>('/api/mcp/upstreams')
    // Under which of the two names it is depends on whether its use is stored already.
    t.equal(
      states.reduce((sum, { activeConnections }) => sum + activeConnections, 0),
      1
    )
    t.match(
      states.find(({ name }) => name === 'new'),
      { draining: true, safeToStop: false }
    )
    const headers = { 'mcp-session-id': session }
    await fetch(`${proxy.proxyUrl}/stream/e`, { method: 'DELETE', headers })
    await until(proxy, 'new', { safeToStop: true })
  }
)

void t.test('a file of gateways is read again when it changes, and on SIGHUP', async t => {
  const gateways = await Promise.all(NAMES.map(name => startGateway(name)))
  t.teardown(() => Promise.all(gateways.map(gateway => gateway.stop())))
  const [a, b] = gateways as [Gateway, Gateway, Gateway]
  const directory = t.testdir({ list: `a=${a.url}\n` })
  const list = join(directory, 'list')
  const proxy = await Turnstile.start(`c=${gateways[2]!.url}`, directory, ['--upstream-file', list])
  t.teardown(() => proxy.stop())
  const ofA = await open(proxy)
  if (!a.sessions.has(`e ${ofA}`)) await open(proxy)
  const [held] = [...a.sessions].map(name => name.slice('e '.length))
  t.ok(held, 'both gateways get sessions')

  writeFileSync(list, `# a is replaced\nb=${b.url}\n`)
  proxy.process.kill('SIGHUP')
  await until(proxy, 'a', { state: 'removed' })
  await open(proxy)
  t.equal(b.sessions.size, 1, 'the new gateway has the fewest sessions')
  t.equal(await statusOf(proxy, held!), 202, 'the old one keeps its sessions')

  writeFileSync(list, 'b=ftp://nowhere\n')
  const isRefused = ({ msg }: Record<string, unknown>): boolean => String(msg).includes('last good list')
  while (!proxy.log.some(isRefused)) await sleep(50)
  await open(proxy)
  await open(proxy)
  t.equal(b.sessions.size, 2, 'an unusable file changes nothing')

  writeFileSync(list, `b=${b.url}\na=${a.url}\n`)
  await until(proxy, 'a', { state: 'up' })
})
