// Owns `--max-sessions-per-endpoint` from outside: the limit holds against what the count says, over proxies and starts.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startFakeGateway } from '../support/fake-gateway.js'
import { Turnstile } from '../support/turnstile.js'

const LIMIT = 3
/** By then a proxy has looked into the store again, on a busy machine too. */
const FOLLOWED_MS = 2_500
const flags = ['--max-sessions-per-endpoint', String(LIMIT)]

/** What `initialize` is answered: the session's id, or undefined for a 503. */
async function open(turnstile: Turnstile, endpointId = 'e'): Promise<string | undefined> {
  const response = await fetch(`${turnstile.proxyUrl}/stream/${endpointId}`, { method: 'POST', body: '{}' })
  const body = (await response.json()) as { error?: { code: number } }
  if (response.status === 200) return response.headers.get('mcp-session-id')!
  if (response.status !== 503 || body.error?.code !== -32000 || !response.headers.has('retry-after'))
    throw new Error(`${response.status} ${JSON.stringify(body)}`)
  return undefined
}

async function end(turnstile: Turnstile, sessionId: string): Promise<void> {
  const url = `${turnstile.proxyUrl}/stream/e`
  const response = await fetch(url, { method: 'DELETE', headers: { 'mcp-session-id': sessionId } })
  if (response.status !== 202) throw new Error(String(response.status))
}

async function start(t: Test, upstream: string, directory: string, more: string[] = []): Promise<Turnstile> {
  const turnstile = await Turnstile.start(upstream, directory, [...flags, ...more])
  t.teardown(() => turnstile.stop())
  return turnstile
}

void t.test(
  'one proxy: exact at every moment, other endpoints apart, ends of strangers count nothing',
  async t => {
    const gateway = await startFakeGateway()
    t.teardown(() => gateway.stop())
    const turnstile = await start(t, gateway.url, t.testdir())
    const opened = await Promise.all(Array.from({ length: LIMIT * 10 }, () => open(turnstile)))
    const sessions = opened.filter(id => id !== undefined)
    t.equal(sessions.length, LIMIT, 'as many as may be, of many at once')
    t.type(await open(turnstile, 'other'), 'string')
    for (let i = 0; i < 5; i++) {
      for (let made = 0; made < 10; made++) await end(turnstile, `made-up-${made}`)
      t.equal(await open(turnstile), undefined)
      await end(turnstile, sessions.shift()!)
      const next = await open(turnstile)
      t.type(next, 'string', 'at once')
      sessions.push(next!)
      t.equal(await open(turnstile), undefined)
    }
    await turnstile.shipped()
    t.equal(await turnstile.count('e'), LIMIT)
  }
)

void t.test('legacy streams take places too', async t => {
  const gateway = await startFakeGateway()
  t.teardown(() => gateway.stop())
  const turnstile = await start(t, gateway.url, t.testdir())
  const cut = new AbortController()
  const headers = { accept: 'text/event-stream' }
  for (let i = 0; i < LIMIT; i++) {
    const stream = await fetch(`${turnstile.proxyUrl}/e/sse`, { headers, signal: cut.signal })
    t.equal(stream.status, 200)
    await stream.body!.getReader().read()
  }
  t.equal((await fetch(`${turnstile.proxyUrl}/e/sse`, { headers })).status, 503)
  t.equal(await open(turnstile), undefined)
  cut.abort()
  while ((await open(turnstile)) === undefined) await sleep(5)
  t.pass('their ends are seen')
})

void t.test('sessions of before the start, and of other proxies', async t => {
  const gateway = await startFakeGateway()
  t.teardown(() => gateway.stop())
  const directory = t.testdir()
  const store = ['--store', `sqlite:${directory}/ledger.db`]
  const before = await start(t, gateway.url, `${directory}/here`, store)
  for (let i = 0; i < LIMIT - 1; i++) t.type(await open(before), 'string')
  await before.stop()
  const again = await start(t, gateway.url, `${directory}/here`, store)
  const other = await start(t, gateway.url, `${directory}/there`, store)
  await sleep(FOLLOWED_MS)
  t.type(await open(again), 'string')
  t.equal(await open(again), undefined)
  await again.shipped()
  await sleep(FOLLOWED_MS)
  t.equal(await open(other), undefined)
})

void t.test('sessions that idle make room', async t => {
  const gateway = await startFakeGateway()
  t.teardown(() => gateway.stop())
  const turnstile = await start(t, gateway.url, t.testdir(), ['--session-idle-timeout', '2s'])
  for (let i = 0; i < LIMIT; i++) t.type(await open(turnstile), 'string')
  t.equal(await open(turnstile), undefined)
  while ((await open(turnstile)) === undefined) await sleep(100)
  t.ok((await turnstile.connections()).some(({ reason }) => reason === 'idle'))
})
