// Owns the end of the proxy: it waits for what is under way, not for connections on which nothing is.
import { once } from 'node:events'
import { connect } from 'node:net'
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
