// Owns what a collector that is away costs: some lines in the log, and no request.
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { startFakeGateway } from '../support/fake-gateway.js'
import { OtlpReceiver } from '../support/otlp-receiver.js'
import { freePort } from '../support/ports.js'
import { Turnstile } from '../support/turnstile.js'

const gateway = await startFakeGateway()
t.teardown(() => gateway.stop())

const ask = async (turnstile: Turnstile): Promise<boolean> => {
  const body = '{"jsonrpc":"2.0","id":1,"method":"ping"}'
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(`${turnstile.proxyUrl}/stream/e`, { method: 'POST', headers, body })
  await response.text()
  return response.ok
}

const FAILING = 'spans cannot be exported over OTLP'
const RECOVERED = 'spans are exported over OTLP again'

void t.test('an outage of the collector is said once, with its end, and shows no secret', async t => {
  const port = await freePort()
  const turnstile = await Turnstile.start(gateway.url, t.testdir(), [], [], undefined, {
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `http://user:pass-word@127.0.0.1:${port}/v1/traces`,
    OTEL_EXPORTER_OTLP_HEADERS: 'api-key=sec-ret',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_EXPORTER_OTLP_TIMEOUT: '100',
    OTEL_BSP_SCHEDULE_DELAY: '50'
  })
  t.teardown(() => turnstile.stop())
  const said = (msg: string) => turnstile.log.filter(line => line['msg'] === msg)
  while (said(FAILING).length === 0) t.ok(await ask(turnstile))
  t.match(said(FAILING)[0], { level: 40, reason: /ECONNREFUSED/ })
  for (let i = 0; i < 5; i++) {
    await ask(turnstile)
    await sleep(100)
  }
  t.equal(said(FAILING).length, 1)
  const receiver = await OtlpReceiver.start(port)
  t.teardown(() => receiver.stop())
  while (said(RECOVERED).length === 0) await ask(turnstile)
  t.equal(receiver.requests[0]?.headers['api-key'], 'sec-ret')
  t.equal(await turnstile.stop(), 0)
  t.notMatch(JSON.stringify(turnstile.log), /sec-ret|pass-word/)
})

void t.test(
  'one that takes connections and says nothing holds up neither requests nor the end of the process',
  async t => {
    const sockets = new Set<Socket>()
    const silent = createServer(socket => sockets.add(socket.on('error', () => undefined)))
    silent.listen(0, '127.0.0.1')
    await once(silent, 'listening')
    t.teardown(() => {
      sockets.forEach(socket => socket.destroy())
      silent.close()
    })
    const turnstile = await Turnstile.start(gateway.url, t.testdir(), [], [], undefined, {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(silent.address() as AddressInfo).port}`,
      OTEL_BSP_MAX_QUEUE_SIZE: '8',
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '4',
      OTEL_BSP_SCHEDULE_DELAY: '10'
    })
    t.teardown(() => turnstile.stop())
    for (let i = 0; i < 50; i++) t.ok(await ask(turnstile))
    const before = performance.now()
    t.equal(await turnstile.stop(), 0)
    const took = performance.now() - before
    t.ok(took < 20_000, `it ended within ${took} ms, of which the drain time of 8 s is for the collector`)
  }
)
