// Owns that a clock that is wrong, or is put back, ends no session that is in use and keeps none that is not.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startFakeGateway } from '../support/fake-gateway.js'
import { freshDatabase, startDatabase } from '../support/mariadb.js'
import { Scrape } from '../support/scrape.js'
import { Turnstile } from '../support/turnstile.js'

const IDLE_S = 6
const TEN_MINUTES = 600_000
const TWO_HOURS = 7_200_000

const gateway = await startFakeGateway()
const server = await startDatabase()
t.teardown(async () => {
  await server.stop()
  await gateway.stop()
})

/** Starts a proxy whose wall clock is off by `startMs`; SIGUSR2 puts it back by two hours. */
async function start(t: Test, startMs: number, flags: readonly string[] = []): Promise<Turnstile> {
  const preload = `let off = ${startMs}; const { now } = Date; Date.now = () => now() + off
    process.on('SIGUSR2', () => { off -= ${TWO_HOURS} })`
  const nodeFlags = ['--import', `data:text/javascript,${encodeURIComponent(preload)}`]
  const all = ['--session-idle-timeout', `${IDLE_S}s`, ...flags]
  const turnstile = await Turnstile.start(gateway.url, t.testdir(), all, nodeFlags)
  t.teardown(() => turnstile.stop())
  return turnstile
}

async function post({ proxyUrl }: Turnstile, session?: string): Promise<string> {
  const headers = session === undefined ? {} : { 'mcp-session-id': session }
  const response = await fetch(`${proxyUrl}/stream/e`, { method: 'POST', body: '{}', headers })
  await response.arrayBuffer()
  return response.headers.get('mcp-session-id') ?? session!
}

void t.test('of two proxies whose clocks differ by ten minutes, neither ends sessions in use', async t => {
  const store = ['--store', await freshDatabase(server.url)]
  const [right, ahead] = [await start(t, 0, store), await start(t, TEN_MINUTES, store)]
  const sessions = [await post(right), await post(ahead)]
  const moving = await post(ahead)
  await right.shipped()
  await ahead.shipped()
  for (let i = 0; i < 10; i++) {
    await post(right, sessions[0])
    await post(ahead, sessions[1])
    // Opened through the one that is ahead, used through the other one.
    await post(right, moving)
    await sleep(1_000)
    t.equal(await right.count('e'), 3)
    t.equal(await ahead.count('e'), 3)
  }
  for (const { connect_at: at } of await right.connections())
    t.ok(Math.abs(Date.parse(at) - Date.now()) < 60_000, 'times are the store’s')
  t.equal(Math.round((await Scrape.of(ahead.adminUrl)).value('turnstile_clock_ahead_seconds')!), 600)
  t.equal(Math.round((await Scrape.of(right.adminUrl)).value('turnstile_clock_ahead_seconds')!), 0)
  t.equal(ahead.log.filter(({ msg }) => /clock and the store's differ/.test(String(msg))).length, 1)
  while ((await right.count('e')) > 0) await sleep(50)
  t.pass('and all idle in the end')
})

void t.test('after a clock was put back by two hours sessions idle as before', async t => {
  const turnstile = await start(t, 0)
  const [used, idle] = [await post(turnstile), await post(turnstile)]
  await turnstile.shipped()
  turnstile.process.kill('SIGUSR2')
  const startedAt = performance.now()
  while ((await turnstile.count('e')) === 2) {
    await post(turnstile, used)
    await sleep(200)
  }
  t.ok(performance.now() - startedAt < (IDLE_S + 4) * 1_000, 'the one that is not used idles in time')
  t.match(
    (await turnstile.connections()).filter(({ reason }) => reason !== null),
    [{ session_id: idle, reason: 'idle' }]
  )
  const later = await post(turnstile)
  await turnstile.shipped()
  const rows = await turnstile.connections()
  t.equal(rows[0]?.session_id, later, 'no time is told again')
  for (const row of rows) t.ok(row.disconnect_at >= row.connect_at)
})
