// Owns sessions that end without a word: the gateway's keep_alive, its death, and what nobody deleted, with real rmcp.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Gateway, type GatewayName } from '../support/gateway.js'
import { connectClient } from '../support/sdk-clients.js'
import { Turnstile } from '../support/turnstile.js'

const SESSIONS = 10_000
const INITIALIZES_AT_ONCE = 50

async function start(
  t: Test,
  name: GatewayName,
  gatewayFlags: string[],
  flags: string[] = []
): Promise<{ gateway: Gateway; turnstile: Turnstile }> {
  const gateway = await Gateway.start(name, gatewayFlags)
  t.teardown(() => gateway.stop())
  const turnstile = await Turnstile.start(gateway.url, t.testdir(), flags)
  t.teardown(() => turnstile.stop())
  return { gateway, turnstile }
}

async function streamables(gateway: Gateway): Promise<number> {
  const { endpoints } = await gateway.sessions()
  return Object.values(endpoints).reduce((sum, { streamable }) => sum + streamable.length, 0)
}

/** Polls until `condition` holds; the milliseconds that took. Fails after `timeoutMs`. */
async function within(t: Test, timeoutMs: number, what: string, condition: () => Promise<boolean>) {
  const startedMs = performance.now()
  while (!(await condition())) {
    if (performance.now() - startedMs > timeoutMs) return void t.fail(`${what} within ${timeoutMs} ms`)
    await sleep(20)
  }
  t.pass(`${what} after ${Math.round(performance.now() - startedMs)} ms`)
  t.comment(`${what} after ${Math.round(performance.now() - startedMs)} ms`)
}

async function initialize(url: string): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: {
        protocolVersion: '2025-06-18',
        capabilities: {},
        clientInfo: { name: 'turnstile-test', version: '1' }
      }
    })
  })
  await response.text()
  if (!response.headers.has('mcp-session-id')) throw new Error(`initialize: ${response.status}`)
}

async function initializeMany(url: string, sessions: number): Promise<void> {
  let left = sessions
  await Promise.all(
    Array.from({ length: INITIALIZES_AT_ONCE }, async () => {
      while (left-- > 0) await initialize(`${url}/stream/e${left % 5}`)
    })
  )
}

void t.test('a session that rmcp ends for being idle is closed', { timeout: 60_000 }, async t => {
  const { gateway, turnstile } = await start(t, 'gateway-rmcp3', ['--keep-alive', '3'])
  const idle = await connectClient(turnstile.proxyUrl, 'streamable', 'e')
  const busy = await connectClient(turnstile.proxyUrl, 'streamable', 'e')
  t.teardown(() => Promise.all([idle.close(), busy.close()]))
  t.equal(await turnstile.count('e'), 2)
  const talking = setInterval(() => void busy.echo('still here').catch(() => undefined), 500)
  t.teardown(() => clearInterval(talking))
  while ((await streamables(gateway)) > 1) await sleep(10)
  await within(t, 2_000, 'the count is right', async () => (await turnstile.count('e')) === 1)
  t.match(
    (await turnstile.connections()).map(row => row.reason).sort(),
    ['gone', null],
    'closed as gone, by the ping'
  )
})

for (const name of ['gateway-rmcp3', 'gateway-rmcp0'] as const) {
  void t.test(`${SESSIONS} sessions are closed when ${name} restarts`, { timeout: 240_000 }, async t => {
    const { gateway, turnstile } = await start(t, name, [])
    await initializeMany(turnstile.proxyUrl, SESSIONS)
    await turnstile.shipped()
    t.equal(await turnstile.count(), SESSIONS)
    // The connections used so far are idle no more: nothing but the proxy's own watch can see the restart.
    await sleep(5_000)
    await gateway.kill()
    const again = await Gateway.start(name, ['--port', new URL(gateway.url).port])
    t.teardown(() => again.stop())
    const newcomer = await connectClient(turnstile.proxyUrl, 'streamable', 'e0')
    t.teardown(() => newcomer.close())
    await within(t, 10_000, 'the count is right', async () => (await turnstile.count()) === 1)
    t.equal(await newcomer.echo('hello'), 'hello')
    await turnstile.shipped()
    const rows = await turnstile.connections()
    t.equal(rows.filter(row => row.reason === 'gone').length, SESSIONS)
    t.ok(
      rows.every(row => row.request_count < 10),
      'pings are no requests'
    )
  })
}

void t.test('a gateway that restores its sessions is not made to', { timeout: 120_000 }, async t => {
  const store = ['--session-store', `${t.testdir()}/sessions.json`]
  const { gateway, turnstile } = await start(t, 'gateway-rmcp3', store, ['--session-idle-timeout', '10s'])
  await initializeMany(turnstile.proxyUrl, 50)
  const used = await connectClient(turnstile.proxyUrl, 'streamable', 'e0')
  t.teardown(() => used.close())
  await gateway.kill()
  const port = new URL(gateway.url).port
  const again = await Gateway.start('gateway-rmcp3', [...store, '--port', port])
  t.teardown(() => again.stop())
  t.equal(await used.echo('hello'), 'hello', 'restored by its client')
  const talking = setInterval(() => void used.echo('still here').catch(() => undefined), 1_000)
  t.teardown(() => clearInterval(talking))
  await within(t, 60_000, 'the others are idle', async () => (await turnstile.count()) === 1)
  t.ok((await streamables(again)) <= 2, 'one more at most was asked for')
  const reasons = (await turnstile.connections()).map(({ reason }) => reason)
  t.equal(reasons.filter(reason => reason === 'idle').length, 50)
})

for (const flags of [[], ['--end-idle-sessions']]) {
  void t.test(`idle sessions are closed: ${flags.join('')}`, { timeout: 60_000 }, async t => {
    const idle = ['--session-idle-timeout', '2s', ...flags]
    const { gateway, turnstile } = await start(t, 'gateway-rmcp0', [], idle)
    await initializeMany(turnstile.proxyUrl, 50)
    t.equal(await streamables(gateway), 50)
    await within(t, 10_000, 'closed as idle', async () => (await turnstile.count()) === 0)
    if (flags.length > 0) {
      await within(t, 2_000, 'gone from the gateway', async () => (await streamables(gateway)) === 0)
      t.ok((await turnstile.connections()).every(row => row.reason === 'idle'))
    } else {
      await sleep(1_000)
      t.equal(await streamables(gateway), 50, 'without the flag nothing is sent')
    }
  })
}
