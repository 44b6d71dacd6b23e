// Owns the end of the proxy: it waits for what is under way, not for connections on which nothing is.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { startFakeGateway } from '../support/fake-gateway.js'
import { Turnstile } from '../support/turnstile.js'

/** Well under the 10 s that streams get; generous for a busy machine. */
const PROMPT_MS = 5_000

void t.test('a connection on which no request ever came does not hold up the end', async t => {
  const gateway = await startFakeGateway()
  t.teardown(() => gateway.stop())
  const turnstile = await Turnstile.start(gateway.url, t.testdir())
  const { port, hostname } = new URL(turnstile.proxyUrl)
  const idle = connect(Number(port), hostname).resume()
  await once(idle, 'connect')
  const before = Date.now()
  t.equal(await turnstile.stop(), 0)
  t.ok(Date.now() - before < PROMPT_MS)
})

void t.test('what is under way finishes, nothing new is accepted, all of it is counted', async t => {
  const gateway = await startFakeGateway()
  t.teardown(() => gateway.stop())
  // A gateway that takes its time: it answers `initialize` when told to.
  let answerNow = (): void => undefined
  const arrived: (() => void)[] = []
  const slow = createServer((req, res) => {
    req.resume().once('end', () => {
      answerNow = () => res.writeHead(200, { 'mcp-session-id': 's', 'content-length': 0 }).end()
      arrived.shift()?.()
    })
  }).listen(0, '127.0.0.1')
  await once(slow, 'listening')
  t.teardown(() => slow.close())
  const directory = t.testdir()
  const url = `http://127.0.0.1:${(slow.address() as AddressInfo).port}`
  const turnstile = await Turnstile.start(url, directory, ['--drain-delay', '3s', '--drain-timeout', '120s'])
  const there = new Promise<void>(resolve => arrived.push(resolve))
  const answered = fetch(`${turnstile.proxyUrl}/stream/e`, { method: 'POST', body: '{}' })
  await there
  const stopped = turnstile.stop()
  const ready = async (): Promise<Response> => await fetch(`${turnstile.adminUrl}/readyz`)
  while ((await ready()).status === 200);
  t.match(await (await ready()).json(), { ready: false, closing: true, store: { ok: true } })
  const early = connect(Number(new URL(turnstile.proxyUrl).port), '127.0.0.1').resume()
  await once(early, 'connect')
  t.pass('load balancers notice before connections are refused')
  await refused(turnstile.proxyUrl)
  t.equal((await ready()).status, 503, 'operators can ask until the end')
  answerNow()
  const response = await answered
  t.equal(response.status, 200)
  t.equal(response.headers.get('connection'), 'close')
  t.equal(await stopped, 0)
  const again = await Turnstile.start(gateway.url, directory)
  t.teardown(() => again.stop())
  t.equal(again.log.find(({ msg }) => msg === 'listening')?.['level'], 30)
  t.match(await again.connections(), [{ endpoint_id: 'e', session_id: 's', reason: null }])
})

void t.test('a second signal exits at once', async t => {
  const gateway = await startFakeGateway()
  t.teardown(() => gateway.stop())
  const turnstile = await Turnstile.start(gateway.url, t.testdir(), ['--drain-timeout', '60s'])
  const stream = await fetch(`${turnstile.proxyUrl}/e/sse`)
  await stream.body!.getReader().read()
  const before = Date.now()
  const stopped = turnstile.stop()
  await refused(turnstile.proxyUrl)
  turnstile.process.kill('SIGTERM')
  t.equal(await stopped, 1)
  t.ok(Date.now() - before < PROMPT_MS)
})

void t.test('a second signal while the threads of the store work', async t => {
  const gateway = await startFakeGateway()
  t.teardown(() => gateway.stop())
  // An exit in a query aborts about one time in ten.
  for (let round = 0; round < 6; round++) {
    const turnstile = await Turnstile.start(gateway.url, t.testdir(), ['--drain-timeout', '60s'])
    const stream = await fetch(`${turnstile.proxyUrl}/e/sse`)
    await stream.body!.getReader().read()
    const exited = once(turnstile.process, 'exit')
    const querying = Array.from({ length: 8 }, async () => {
      while (turnstile.process.exitCode === null && turnstile.process.signalCode === null)
        await turnstile.connections().catch(() => undefined)
    })
    await turnstile.connections()
    turnstile.process.kill('SIGTERM')
    await refused(turnstile.proxyUrl)
    turnstile.process.kill('SIGTERM')
    t.strictSame(await exited, [1, null])
    await Promise.all(querying)
  }
})

void t.test('SIGHUP ends nothing, with and without workers', async t => {
  const gateway = await startFakeGateway()
  t.teardown(() => gateway.stop())
  for (const workers of ['1', '2']) {
    const turnstile = await Turnstile.start(gateway.url, t.testdir(), ['--workers', workers])
    t.teardown(() => turnstile.stop())
    const pid = turnstile.process.pid!
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .trim()
      .split(' ')
      .filter(Boolean)
    for (const each of [...children.map(Number), pid]) process.kill(each, 'SIGHUP')
    while (!turnstile.log.some(({ msg }) => /^SIGHUP: .* read again/.test(String(msg)))) await sleep(20)
    const response = await fetch(`${turnstile.proxyUrl}/stream/e`, { method: 'POST', body: '{}' })
    t.equal(response.status, 200)
    t.equal(await turnstile.stop(), 0)
  }
})

/** Resolves when nobody listens there. */
async function refused(url: string): Promise<void> {
  for (;;) {
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    try {
      await once(socket, 'connect')
    } catch {
      return
    } finally {
      socket.destroy()
    }
  }
}

void t.test('the GET stream of a session ends at once, and its session goes on', async t => {
  const gateway = await startFakeGateway()
  t.teardown(() => gateway.stop())
  const directory = t.testdir()
  const first = await Turnstile.start(gateway.url, directory, ['--drain-timeout', '60s'])
  const opened = await fetch(`${first.proxyUrl}/stream/e`, { method: 'POST', body: '{}' })
  await opened.text()
  const headers = { 'mcp-session-id': opened.headers.get('mcp-session-id')!, accept: 'text/event-stream' }
  const stream = await fetch(`${first.proxyUrl}/stream/e`, { headers })
  const ended = stream.text()
  t.equal(await first.stop(), 0)
  t.equal(await ended, '', 'ended, not broken off')
  const second = await Turnstile.start(gateway.url, directory)
  t.teardown(() => second.stop())
  t.equal((await fetch(`${second.proxyUrl}/stream/e`, { headers })).status, 200, 'opened again')
  t.match(await second.connections(), [{ endpoint_id: 'e', reason: null }])
})

void t.test('a stream is cut after the drain timeout, and its session ends with it', async t => {
  const gateway = await startFakeGateway()
  t.teardown(() => gateway.stop())
  const directory = t.testdir()
  const first = await Turnstile.start(gateway.url, directory, ['--drain-timeout', '100ms'])
  const response = await fetch(`${first.proxyUrl}/e/sse`)
  const reader = response.body!.getReader()
  await reader.read()
  t.equal(await first.stop(), 0)
  await t.rejects(async () => {
    while (!(await reader.read()).done);
  }, 'broken off, not ended')
  const second = await Turnstile.start(gateway.url, directory)
  t.teardown(() => second.stop())
  t.match(await second.connections(), [{ endpoint_id: 'e', reason: 'stream_end' }])
})
