// Owns what becomes of the proxy when the admin port's thread dies: nothing, and operators are answered again.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { startFakeGateway } from '../support/fake-gateway.js'
import { evaluateIn } from '../support/inspector.js'
import { freePort } from '../support/ports.js'
import { Turnstile } from '../support/turnstile.js'

void t.test('clients do not notice, and it comes back where it was', async t => {
  const gateway = await startFakeGateway()
  t.teardown(() => gateway.stop())
  const inspectorPort = await freePort()
  const turnstile = await Turnstile.start(
    gateway.url,
    t.testdir(),
    [],
    [`--inspect=127.0.0.1:${inspectorPort}`]
  )
  t.teardown(() => turnstile.stop())
  const stream = await fetch(`${turnstile.proxyUrl}/e/sse`)
  const reader = stream.body!.getReader()
  await reader.read()

  await evaluateIn(inspectorPort, 'admin-thread.js', 'void setImmediate(() => { throw new Error("a bug") })')
  const died = (): boolean =>
    turnstile.log.some(({ msg }) => msg === 'the admin port died and is started again')
  while (!died()) await sleep(10)
  const answers = (): Promise<boolean> =>
    turnstile
      .count('e')
      .then(count => count === 1)
      .catch(() => false)
  while (!(await answers())) await sleep(50)
  const initialized = await fetch(`${turnstile.proxyUrl}/stream/e`, { method: 'POST', body: '{}' })
  t.equal(initialized.status, 200)
  await turnstile.shipped()
  t.equal(await turnstile.count('e'), 2, 'the stream is still open, and what came since is counted')
  await reader.cancel()
  t.equal(await turnstile.stop(), 0)
})
