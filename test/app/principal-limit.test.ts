// Owns `--max-sessions-per-principal` from outside: how many sessions a principal may have, over proxies, starts and outages; and who
// makes room with `--when-full evict-idlest`.
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { CuttingProxy } from '../support/cutting-proxy.js'
import { type FakeGateway, startFakeGateway } from '../support/fake-gateway.js'
import { jwt } from '../support/jwt.js'
import { freshDatabase } from '../support/mariadb.js'
import { connectTo } from '../support/raw-http.js'
import { Scrape } from '../support/scrape.js'
import { call } from '../support/session-less.js'
import { type ConnectionJson, Turnstile } from '../support/turnstile.js'

const LIMIT = 3
const limit = ['--max-sessions-per-principal', String(LIMIT)]
const evict = [...limit, '--when-full', 'evict-idlest']
const INITIALIZE = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}'
const ISSUER = 'https://id.example'
const as = (sub: string, exp = 0): Record<string, string> => ({
  authorization: `Bearer ${jwt({ iss: ISSUER, sub, exp })}`
})
/** Says that it is somebody, and is nobody whom the gateway knows. */
const claimed = (sub: string): Record<string, string> => ({ authorization: `${as(sub).authorization!}x` })

interface Gateway extends FakeGateway {
  /** Who opened each session, by the name that the gateway verified. */
  owners: Map<string, string>
  /** It ends no session. */
  keepsSessions: boolean
  /** Responses to tool calls, which wait until somebody ends them. */
  calls: (() => void)[]
}

/** Accepts requests with a token that is signed or with an API key, and those of a session from who opened it only. */
async function startGateway(t: Test): Promise<Gateway> {
  const owners = new Map<string, string>()
  const fake = await startFakeGateway((request, response) => {
    const { authorization, 'x-api-key': key } = request.headers
    const [, token, payload] = /^Bearer ([^.]+\.([^.]+)\..*)$/.exec(authorization ?? '') ?? []
    const claims = Buffer.from(payload ?? '', 'base64url').toString()
    const user =
      token !== undefined && jwt(claims) === token ? (JSON.parse(claims) as { sub: string }).sub : key
    const id = request.headers['mcp-session-id']
    if (
      (authorization !== undefined && user === undefined) ||
      (id && owners.get(String(id)) !== String(user))
    )
      response.writeHead(401, { 'www-authenticate': 'Bearer' }).end()
    else if (request.method === 'DELETE' && gateway.keepsSessions) response.writeHead(405).end()
    else if (request.headers['mcp-name'] === 'slow')
      gateway.calls.push(() => response.writeHead(200, { 'content-type': 'application/json' }).end('{}'))
    else if (request.method === 'POST' && id === undefined && request.headers['mcp-method'] === undefined) {
      const issued = randomUUID()
      owners.set(issued, String(user))
      gateway.sessions.add(`e ${issued}`)
      response.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': issued }).end('{}')
    } else return false
    return true
  })
  const gateway: Gateway = { ...fake, owners, keepsSessions: false, calls: [] }
  t.teardown(() => gateway.stop())
  return gateway
}

async function start(
  t: Test,
  gateway: Gateway,
  flags: string[],
  directory = t.testdir()
): Promise<Turnstile> {
  const turnstile = await Turnstile.start(gateway.url, directory, flags)
  t.teardown(() => turnstile.stop())
  return turnstile
}

/** Opens a session; undefined where it is refused. */
async function open(turnstile: Turnstile, who: Record<string, string>): Promise<string | undefined> {
  const response = await fetch(`${turnstile.proxyUrl}/stream/e`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...who },
    body: INITIALIZE
  })
  if (response.status === 401) throw new Error('401')
  const body = (await response.json()) as { jsonrpc?: string; id?: unknown; error?: { code: number } }
  if (response.status === 200) return response.headers.get('mcp-session-id')!
  const isRefusal = response.status === 429 && response.headers.get('retry-after') === '1'
  if (!isRefusal || body.jsonrpc !== '2.0' || body.id !== null || body.error?.code !== -32000)
    throw new Error(`${response.status} ${JSON.stringify(body)}`)
  return undefined
}

const openMany = async (turnstile: Turnstile, who: Record<string, string>, many: number): Promise<string[]> =>
  (await Promise.all(Array.from({ length: many }, () => open(turnstile, who)))).filter(id => id !== undefined)

async function send(
  turnstile: Turnstile,
  method: 'POST' | 'DELETE',
  id: string,
  who: Record<string, string>,
  fields: Record<string, string> = {}
): Promise<number> {
  const response = await fetch(`${turnstile.proxyUrl}/stream/e`, {
    method,
    headers: { 'mcp-session-id': id, ...who, ...fields }
  })
  await response.arrayBuffer()
  return response.status
}

/** Resolves once the sessions of the gateway are these many. */
async function live(gateway: Gateway, many: number): Promise<string[]> {
  while (gateway.sessions.size !== many) await sleep(10)
  return [...gateway.sessions].map(name => name.slice('e '.length))
}

async function rows(turnstile: Turnstile): Promise<Map<string, ConnectionJson>> {
  await turnstile.shipped()
  return new Map((await turnstile.connections()).map(row => [row.session_id, row]))
}

const scrape = async (turnstile: Turnstile): Promise<Scrape> =>
  new Scrape(await (await fetch(`${turnstile.adminUrl}/metrics`)).text())

void t.test('refuse: one proxy is exact at every moment, for each principal apart', async t => {
  const gateway = await startGateway(t)
  const turnstile = await start(t, gateway, limit)
  for (const who of [as('ann'), as('bob'), { 'x-api-key': 'a key' }]) {
    const sessions = await openMany(turnstile, who, 20)
    t.equal(sessions.length, LIMIT, 'as many as may be, of many at once')
    for (let i = 0; i < 5; i++) {
      t.equal(await open(turnstile, who), undefined)
      t.equal(await send(turnstile, 'DELETE', sessions.shift()!, who), 202)
      const next = await open(turnstile, who)
      t.type(next, 'string', 'at once')
      sessions.push(next!)
    }
  }
  t.equal(await open(turnstile, as('ann', 1)), undefined, 'another token of the same person')
  t.equal((await openMany(turnstile, {}, 5)).length, 5, 'who is not known has no limit')
  const { proxyUrl } = turnstile
  const visitor = { userAgent: 'agent', ...as('ann') }
  for (let i = 0; i < 5; i++) t.equal((await call(`${proxyUrl}/stream/e`, visitor, 'tools/list')).status, 200)
  const refusals = (await scrape(turnstile)).value('turnstile_refusals_total', { reason: 'principal' })
  t.equal(refusals, 3 * 17 + 3 * 5 + 1)
})

void t.test('refuse: a claim takes no place, however long it takes', async t => {
  const gateway = await startGateway(t)
  const turnstile = await start(t, gateway, limit)
  t.type(await open(turnstile, as('ann')), 'string')
  const port = Number(new URL(turnstile.proxyUrl).port)
  const strangers = await Promise.all(
    Array.from({ length: 10 }, async (_, i) => {
      const { socket, ...stranger } = await connectTo(port)
      t.teardown(() => socket.destroy())
      const head = [
        'POST /stream/e HTTP/1.1',
        'Host: e',
        `Authorization: ${claimed('ann').authorization!}${i}`
      ]
      socket.write([...head, 'Content-Length: 100', '', '{'].join('\r\n'))
      return stranger
    })
  )
  t.equal(strangers.length, 10)
  while ((await scrape(turnstile)).value('turnstile_requests') !== 10) await sleep(10)
  t.type(await open(turnstile, as('ann')), 'string')
  t.type(await open(turnstile, as('ann')), 'string')
  t.equal(await open(turnstile, as('ann')), undefined)
})

void t.test(
  'refuse: legacy streams take places, and requests of older clients without a session none',
  async t => {
    const gateway = await startGateway(t)
    const turnstile = await start(t, gateway, limit)
    const cut = new AbortController()
    const headers = { accept: 'text/event-stream', ...as('ann') }
    const stream = (): Promise<Response> =>
      fetch(`${turnstile.proxyUrl}/e/sse`, { headers, signal: cut.signal })
    const streams = await Promise.all(Array.from({ length: 10 }, stream))
    const opened = streams.filter(({ status }) => status === 200)
    t.equal(opened.length, LIMIT)
    for (const { body } of opened) await body!.getReader().read()
    t.equal(await open(turnstile, as('ann')), undefined)
    cut.abort()
    while ((await open(turnstile, as('ann'))) === undefined) await sleep(5)
    await openMany(turnstile, as('ann'), LIMIT)
    const response = await fetch(`${turnstile.proxyUrl}/stream/e`, {
      method: 'POST',
      headers: as('ann'),
      body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
    })
    t.equal(response.status, 200)
  }
)

void t.test(
  'refuse: sessions of before the start, of other proxies, and of a name that was erased',
  async t => {
    const gateway = await startGateway(t)
    const directory = t.testdir()
    const flags = [...limit, '--store', `sqlite:${directory}/ledger.db`]
    const here = await start(t, gateway, flags, `${directory}/here`)
    const there = await start(t, gateway, flags, `${directory}/there`)
    const first = await open(here, as('ann'))
    t.type(await open(here, as('ann')), 'string')
    await here.shipped()
    t.type(await open(there, as('ann')), 'string')
    t.equal(await open(there, as('ann')), undefined)
    await there.shipped()
    t.equal(await open(here, as('ann')), undefined)
    const name = encodeURIComponent(`${ISSUER}#ann`)
    const erasing = await fetch(`${here.adminUrl}/api/mcp/principals/${name}`, { method: 'DELETE' })
    t.match(await erasing.json(), { sessions: 3 })
    t.equal(await open(here, as('ann')), undefined, 'they go on under the token')
    await here.stop()
    const again = await start(t, gateway, flags, `${directory}/here`)
    t.equal(await open(again, as('ann')), undefined)
    t.equal(await send(there, 'DELETE', first!, as('ann')), 202)
    t.type(await open(there, as('ann')), 'string', 'also where another proxy opened it')
  }
)

void t.test('evict: the idlest ends at the gateway too, by whichever proxy it was opened', async t => {
  const gateway = await startGateway(t)
  const directory = t.testdir()
  const flags = [...evict, '--store', `sqlite:${directory}/ledger.db`]
  const here = await start(t, gateway, flags, `${directory}/here`)
  const there = await start(t, gateway, flags, `${directory}/there`)
  for (const who of [as('ann'), { 'x-api-key': 'a key' }]) {
    gateway.sessions.clear()
    const ids: string[] = []
    for (let i = 0; i < LIMIT; i++) ids.push((await open(there, who))!)
    t.equal(await send(there, 'POST', ids[0]!, who), 202)
    await there.shipped()
    const fourth = await open(here, who)
    t.same(await live(gateway, LIMIT), [ids[0], ids[2], fourth])
    t.match((await rows(here)).get(ids[1]!), { reason: 'killed' })
    t.equal(await send(here, 'POST', ids[1]!, who), 404)
    const fifth = await open(here, who)
    t.same(await live(gateway, LIMIT), [ids[0], fourth, fifth])
  }
  const ended = async (turnstile: Turnstile): Promise<number> =>
    (await scrape(turnstile)).value('turnstile_evictions_total', { outcome: 'ended' })!
  t.ok((await ended(here)) + (await ended(there)) >= 4)
  const shown = here.log.filter(({ msg }) => /to make room/.test(String(msg)))
  t.match(shown[0], { endpointId: 'e' })
  t.notMatch(JSON.stringify(here.log), 'ann')
})

void t.test('evict: a session in a call is not the idlest, and a stranger evicts nobody', async t => {
  const gateway = await startGateway(t)
  const turnstile = await start(t, gateway, evict)
  const ids: string[] = []
  for (let i = 0; i < LIMIT; i++) ids.push((await open(turnstile, as('ann')))!)
  const calling = send(turnstile, 'POST', ids[0]!, as('ann'), { 'mcp-name': 'slow' })
  while (gateway.calls.length === 0) await sleep(5)
  for (let i = 0; i < 5; i++) await t.rejects(open(turnstile, claimed('ann')), /401/)
  await t.rejects(
    fetch(`${turnstile.proxyUrl}/e/sse`, { headers: claimed('ann') }).then(r => {
      if (r.status !== 200) throw new Error(String(r.status))
    }),
    /401/
  )
  t.equal(await send(turnstile, 'POST', ids[1]!, claimed('ann')), 401)
  t.equal(await send(turnstile, 'POST', ids[1]!, as('bob')), 401)
  for (let i = 0; i < LIMIT; i++) t.type(await open(turnstile, as('bob')), 'string')
  await turnstile.shipped()
  t.equal(gateway.sessions.size, 2 * LIMIT)
  const fourth = await open(turnstile, as('ann'))
  const after = await live(gateway, 2 * LIMIT)
  t.same(
    after.filter(id => gateway.owners.get(id) === 'ann'),
    [ids[0], ids[2], fourth]
  )
  for (const answer of gateway.calls) answer()
  t.equal(await calling, 200)
})

void t.test(
  'evict: many at once through three proxies leave as many as may be',
  { timeout: 60_000 },
  async t => {
    const gateway = await startGateway(t)
    const directory = t.testdir()
    const store = ['--store', await freshDatabase(process.env['TEST_MYSQL_URL']!)]
    const proxies = await Promise.all(
      ['a', 'b', 'c'].map(name => start(t, gateway, [...evict, ...store], `${directory}/${name}`))
    )
    const opened = await Promise.all(proxies.map(proxy => openMany(proxy, as('ann'), 10)))
    t.equal(opened.flat().length, 30, 'none is refused')
    await live(gateway, LIMIT)
    await sleep(500)
    t.equal(gateway.sessions.size, LIMIT, 'and not one more than need be')
    for (const proxy of proxies) await proxy.shipped()
    t.equal(await proxies[0]!.count('e'), LIMIT)
  }
)

void t.test('evict: a gateway that ends no session keeps them, and the log says so', async t => {
  const gateway = await startGateway(t)
  const turnstile = await start(t, gateway, evict)
  gateway.keepsSessions = true
  t.equal((await openMany(turnstile, as('ann'), LIMIT + 1)).length, LIMIT + 1)
  const failed = async (): Promise<number> =>
    (await scrape(turnstile)).value('turnstile_evictions_total', { outcome: 'failed' }) ?? 0
  while ((await failed()) < LIMIT) await sleep(10)
  t.equal(gateway.sessions.size, LIMIT + 1)
  t.ok(
    turnstile.log.some(
      ({ msg, reason }) => /could not be ended/.test(String(msg)) && /405/.test(String(reason))
    )
  )
  gateway.keepsSessions = false
  await live(gateway, LIMIT)
  t.pass('it is tried again')
})

void t.test('evict: the stream of a legacy session is cut', async t => {
  const gateway = await startGateway(t)
  const turnstile = await start(t, gateway, evict)
  const headers = { accept: 'text/event-stream', ...as('ann') }
  const readers = []
  for (let i = 0; i < LIMIT; i++) {
    const reader = (await fetch(`${turnstile.proxyUrl}/e/sse`, { headers })).body!.getReader()
    await reader.read()
    readers.push(reader)
  }
  t.type(await open(turnstile, as('ann')), 'string')
  await live(gateway, LIMIT)
  await t.rejects(readers[0]!.read())
  const reasons = [...(await rows(turnstile)).values()].map(({ reason }) => reason)
  t.same(reasons.sort(), ['killed', null, null, null].sort())
  for (const reader of readers.slice(1)) await reader.cancel()
})

void t.test('while the store is away, what the proxy knows counts', { timeout: 60_000 }, async t => {
  const gateway = await startGateway(t)
  const wire = await CuttingProxy.start(await freshDatabase(process.env['TEST_MYSQL_URL']!))
  t.teardown(() => wire.stop())
  const directory = t.testdir()
  const store = ['--store', wire.url]
  const refusing = await start(t, gateway, [...limit, ...store], `${directory}/refusing`)
  const evicting = await start(t, gateway, [...evict, ...store], `${directory}/evicting`)
  for (const outage of ['close', 'stall'] as const) {
    gateway.sessions.clear()
    const who = as(`ann in ${outage}`)
    wire[outage]()
    const sessions = await openMany(refusing, who, 10)
    t.equal(sessions.length, LIMIT)
    const startedAt = Date.now()
    t.equal(await open(refusing, who), undefined)
    t.ok(Date.now() - startedAt < 2_000, 'after one look-up')
    t.equal(await send(refusing, 'DELETE', sessions[0]!, who), 202)
    t.type(await open(refusing, who), 'string')
    gateway.sessions.clear()
    const ids: string[] = []
    for (let i = 0; i <= LIMIT; i++) ids.push((await open(evicting, as('bob')))!)
    t.same(await live(gateway, LIMIT), ids.slice(1))
    wire.open()
    await evicting.shipped()
    await refusing.shipped()
    for (const id of ids) await send(evicting, 'DELETE', id, as('bob'))
  }
})
