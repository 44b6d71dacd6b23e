// Owns the proof that OpenTelemetry is loaded only where something is exported, by the threads that export it.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startFakeGateway } from '../support/fake-gateway.js'
import { OtlpReceiver } from '../support/otlp-receiver.js'
import { Turnstile } from '../support/turnstile.js'

const gateway = await startFakeGateway()
t.teardown(() => gateway.stop())
const receiver = await OtlpReceiver.start()
t.teardown(() => receiver.stop())

/** The files that each thread of a process loaded: V8's coverage names them. */
async function loadedBy(t: Test, variables: Record<string, string>): Promise<string[][]> {
  const directory = t.testdir()
  const coverage = join(directory, 'coverage')
  const env = { ...variables, NODE_V8_COVERAGE: coverage }
  const turnstile = await Turnstile.start(gateway.url, directory, [], [], undefined, env)
  const body = '{"jsonrpc":"2.0","id":1,"method":"initialize"}'
  const headers = { 'content-type': 'application/json' }
  await (await fetch(`${turnstile.proxyUrl}/stream/e`, { method: 'POST', headers, body })).text()
  t.equal(await turnstile.stop(), 0)
  return readdirSync(coverage).map(name => {
    const { result } = JSON.parse(readFileSync(join(coverage, name), 'utf8')) as { result: { url: string }[] }
    return result.map(({ url }) => url)
  })
}

const threads = (loaded: string[][]) => ({
  main: loaded.find(files => files.some(file => file.endsWith('/src/main.js')))!,
  admin: loaded.find(files => files.some(file => file.endsWith('/src/app/admin-thread.js')))!
})
const ofTelemetry = (files: string[]): string[] => files.filter(file => /src\/telemetry\//.test(file))

const off: Record<string, Record<string, string>> = {
  'no variable': {},
  OTEL_SDK_DISABLED: { ...receiver.variables, OTEL_SDK_DISABLED: 'true' },
  'exporters that are none': {
    ...receiver.variables,
    OTEL_TRACES_EXPORTER: 'none',
    OTEL_METRICS_EXPORTER: 'none'
  }
}

for (const [name, variables] of Object.entries(off))
  void t.test(`with ${name}, nothing is loaded and nothing is sent`, async t => {
    const { main, admin } = threads(await loadedBy(t, variables))
    t.ok(main.length > 100 && admin.length > 100)
    t.strictSame([...ofTelemetry(main), ...ofTelemetry(admin)], [])
    t.equal(receiver.requests.length, 0)
  })

void t.test('where it is on, each thread loads what it exports', async t => {
  const { main, admin } = threads(await loadedBy(t, receiver.variables))
  t.ok(ofTelemetry(main).some(file => file.endsWith('start-spans.js')))
  t.notOk(ofTelemetry(main).some(file => file.endsWith('start-metrics.js')))
  t.ok(ofTelemetry(admin).some(file => file.endsWith('start-metrics.js')))
  t.notOk(ofTelemetry(admin).some(file => file.endsWith('start-spans.js')))
})
