// Owns the metrics that are pushed: those of /metrics, once for all processes, and nobody's name.
import t from 'tap'
import { startFakeGateway } from '../support/fake-gateway.js'
import { byName, type OtlpMetric, OtlpReceiver } from '../support/otlp-receiver.js'
import { Turnstile } from '../support/turnstile.js'

const gateway = await startFakeGateway()
t.teardown(() => gateway.stop())

const REQUESTS = 12

async function run(url: string): Promise<void> {
  for (let i = 0; i < REQUESTS; i++)
    await (
      await fetch(`${url}/stream/e`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          authorization: `Bearer person-${i}`,
          connection: 'close'
        },
        body: '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}'
      })
    ).text()
}

const counted = (metric: OtlpMetric): number =>
  (metric.sum ?? metric.gauge)!.dataPoints.reduce((sum, { asDouble = 0 }) => sum + asDouble, 0)

for (const workers of ['1', '2'])
  void t.test(`the end of a process with ${workers} worker(s) pushes what /metrics shows`, async t => {
    const receiver = await OtlpReceiver.start()
    t.teardown(() => receiver.stop())
    const variables = { ...receiver.variables, OTEL_TRACES_EXPORTER: 'none' }
    const turnstile = await Turnstile.start(
      gateway.url,
      t.testdir(),
      ['--workers', workers],
      [],
      undefined,
      variables
    )
    t.teardown(() => turnstile.stop())
    await run(turnstile.proxyUrl)
    await turnstile.shipped()
    const shown = await (await fetch(`${turnstile.adminUrl}/metrics`)).text()
    t.equal(await turnstile.stop(), 0)
    t.strictSame(new Set(receiver.requests.map(({ path }) => path)), new Set(['/v1/metrics']))
    t.equal(new Set(receiver.metricResources.map(resource => resource['service.instance.id'])).size, 1)
    const pushed = new Map(receiver.metrics[0]!.map(metric => [metric.name, metric]))
    t.equal(pushed.size, receiver.metrics[0]!.length, 'each once')
    const names = Array.from(shown.matchAll(/^# TYPE (\S+) \S+\n(?!#|$)/gm), ([, name]) => name!)
    t.ok(names.length > 40)
    const renamed = /^mcp_server_(operation|session)_duration_seconds$/
    for (const name of names) {
      const kind = renamed.exec(name)?.[1]
      t.ok(pushed.has(kind === undefined ? name : `mcp.server.${kind}.duration`), name)
    }
    t.equal(counted(pushed.get('turnstile_requests_total')!), REQUESTS)
    t.match(pushed.get('turnstile_requests_total')?.sum, { isMonotonic: true, aggregationTemporality: 2 })
    t.equal(counted(pushed.get('turnstile_sessions_active')!), REQUESTS)
    t.equal(pushed.get('turnstile_received_bytes_total')?.unit, 'By')
    const { unit, histogram } = pushed.get('mcp.server.operation.duration')!
    const [point] = histogram!.dataPoints
    t.equal(unit, 's')
    t.match(byName(point!.attributes), { 'mcp.method.name': 'initialize', 'network.transport': 'tcp' })
    t.equal(Number(point!.count), REQUESTS)
    t.equal(
      point!.bucketCounts!.reduce<number>((sum, count) => sum + Number(count), 0),
      REQUESTS
    )
    t.equal(point!.bucketCounts!.length, point!.explicitBounds!.length + 1)
    t.notMatch(JSON.stringify(receiver.metrics), /person-/)
  })

void t.test(
  'they are pushed at the interval of the environment, as protobuf and compressed where it says so',
  async t => {
    const receiver = await OtlpReceiver.start()
    t.teardown(() => receiver.stop())
    const turnstile = await Turnstile.start(gateway.url, t.testdir(), [], [], undefined, {
      OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: `${receiver.url}/elsewhere`,
      OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20secret',
      OTEL_METRIC_EXPORT_INTERVAL: '100'
    })
    t.teardown(() => turnstile.stop())
    while (receiver.requests.length < 3) await new Promise(resolve => setTimeout(resolve, 20))
    const { path, headers, body } = receiver.requests[0]!
    t.equal(path, '/elsewhere')
    t.match(headers, {
      'content-type': 'application/x-protobuf',
      'content-encoding': 'gzip',
      authorization: 'Bearer secret'
    })
    t.match(body.toString('latin1'), /turnstile_build_info/)
  }
)
