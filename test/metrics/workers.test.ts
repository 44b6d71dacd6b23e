// Owns the metrics of `--workers`: what all of them did, whichever did it, and that nothing falls when one dies.
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { startFakeGateway } from '../support/fake-gateway.js'
import { Scrape } from '../support/scrape.js'
import { Turnstile } from '../support/turnstile.js'

const SESSIONS = 40

void t.test('workers are one to Prometheus', async t => {
  const gateway = await startFakeGateway()
  t.teardown(() => gateway.stop())
  const turnstile = await Turnstile.start(gateway.url, t.testdir(), ['--workers', '2', '--max-streams', '10'])
  t.teardown(() => turnstile.stop())
  // Each on a connection of its own, so that both workers get some.
  const open = async (): Promise<void> => {
    const headers = { connection: 'close' }
    const body = '{"jsonrpc":"2.0","id":1,"method":"initialize"}'
    await (await fetch(`${turnstile.proxyUrl}/stream/e`, { method: 'POST', headers, body })).arrayBuffer()
  }
  await Promise.all(Array.from({ length: SESSIONS }, open))
  await turnstile.shipped()
  const before = await Scrape.of(turnstile.adminUrl)
  const figures = (scrape: Scrape) => ({
    processes: scrape.value('turnstile_processes'),
    opened: scrape.value('turnstile_sessions_opened_total'),
    active: scrape.value('turnstile_sessions_active'),
    requests: scrape.value('turnstile_requests_total', { method: 'POST', code: '200' }),
    operations: scrape.value('mcp_server_operation_duration_seconds_count', {
      mcp_method_name: 'initialize'
    }),
    limit: scrape.value('turnstile_limit', { of: 'streams' })
  })
  const all = { opened: SESSIONS, active: SESSIONS, requests: SESSIONS, operations: SESSIONS }
  t.same(figures(before), { processes: 2, ...all, limit: 10 })

  const pid = turnstile.process.pid!
  const workers = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number)
  process.kill(workers[0]!, 'SIGKILL')
  let after = await Scrape.of(turnstile.adminUrl)
  while (
    after.value('turnstile_processes') !== 2 ||
    after.value('turnstile_sessions_active') === undefined ||
    after.value('process_start_time_seconds') === before.value('process_start_time_seconds')
  ) {
    t.equal(after.value('turnstile_requests_total'), SESSIONS, 'counts stay while one is away')
    await sleep(50)
    after = await Scrape.of(turnstile.adminUrl)
  }
  t.same(figures(after), { processes: 2, ...all, limit: 10 })
  await open()
  await turnstile.shipped()
  const last = await Scrape.of(turnstile.adminUrl)
  t.equal(last.value('turnstile_requests_total'), SESSIONS + 1)
  t.equal(last.value('turnstile_sessions_opened_total'), SESSIONS + 1)
})
