// Owns traces and metrics through a real OpenTelemetry Collector: an official client, the proxy, rmcp and FastMCP
// behind it. The collector takes protobuf and passes on JSON.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import t, { type Test } from 'tap'
import { serverKinds } from '../interop/servers.js'
import { OtlpReceiver, type OtlpSpan } from '../support/otlp-receiver.js'
import { freePort } from '../support/ports.js'
import { Turnstile } from '../support/turnstile.js'
import { collectorProgram } from './build.js'

const program = await collectorProgram()

/** A collector that passes on what it gets; its URL. */
async function startCollector(t: Test, to: string): Promise<string> {
  const port = await freePort()
  const config = join(t.testdir(), 'collector.yaml')
  const otlp = { protocols: { http: { endpoint: `127.0.0.1:${port}` } } }
  const pipeline = { receivers: ['otlp'], exporters: ['otlp_http'] }
  // JSON is YAML.
  writeFileSync(
    config,
    JSON.stringify({
      receivers: { otlp },
      exporters: { otlp_http: { endpoint: to, encoding: 'json', compression: 'gzip' } },
      service: {
        telemetry: { logs: { level: 'error' }, metrics: { level: 'none' } },
        pipelines: { traces: pipeline, metrics: pipeline }
      }
    })
  )
  const child = spawn(program, ['--config', config], { stdio: ['ignore', 'ignore', 'inherit'] })
  const exited = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGTERM')
    await exited
  })
  const url = `http://127.0.0.1:${port}`
  while (
    !(await fetch(url).then(
      () => true,
      () => child.exitCode !== null
    ))
  )
    await sleep(50)
  return url
}

interface ClientSpan {
  traceId: string
  spanId: string
}

const newSpan = (): ClientSpan => ({
  traceId: randomBytes(16).toString('hex'),
  spanId: randomBytes(8).toString('hex')
})
const traceparent = ({ traceId, spanId }: ClientSpan): string => `00-${traceId}-${spanId}-01`
const childOf =
  ({ traceId, spanId }: ClientSpan, name: string) =>
  (span: OtlpSpan): boolean =>
    span.traceId === traceId && span.parentSpanId === spanId && span.name === name

/** Has endpoint ids in its paths, or not. */
const upstreams = serverKinds.filter(({ name }) => ['gateway-rmcp3', 'FastMCP server http'].includes(name))

for (const kind of upstreams) {
  void t.test(
    `spans arrive in a collector as children of the client’s, and metrics with them: ${kind.name}`,
    async t => {
      const receiver = await OtlpReceiver.start()
      t.teardown(() => receiver.stop())
      const collector = await startCollector(t, receiver.url)
      const directory = t.testdir()
      const server = await kind.start(directory)
      t.teardown(() => server.stop())
      const turnstile = await Turnstile.start(server.url, directory, kind.flags, [], undefined, {
        OTEL_EXPORTER_OTLP_ENDPOINT: collector,
        OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
        OTEL_BSP_SCHEDULE_DELAY: '100'
      })
      t.teardown(() => turnstile.stop())
      const session = newSpan()
      const url = new URL(kind.path('streamable', 'e'), turnstile.proxyUrl)
      const transport = new StreamableHTTPClientTransport(url, {
        fetch: (url, init) => {
          const headers = new Headers(init?.headers)
          // What a client that is instrumented for HTTP sends, but for its calls, which have it in `_meta`.
          const body = init?.body
          if (typeof body !== 'string' || !body.includes('traceparent'))
            headers.set('traceparent', traceparent(session))
          return fetch(url, { ...init, headers })
        }
      })
      const client = new Client({ name: 'traced', version: '1.0.0' })
      await client.connect(transport)
      const [call, failing] = [newSpan(), newSpan()]
      const _meta = (span: ClientSpan) => ({ _meta: { traceparent: traceparent(span) } })
      await client.callTool({ ...kind.tools.echo, ..._meta(call) })
      await client.callTool({ name: 'no-such-tool', arguments: {}, ..._meta(failing) }).catch(() => undefined)
      const opened = await receiver.span(childOf(session, 'initialize'))
      const called = await receiver.span(childOf(call, 'tools/call echo'))
      const failed = await receiver.span(childOf(failing, 'tools/call no-such-tool'))
      t.match(called.attributes, {
        'gen_ai.tool.name': 'echo',
        'http.response.status_code': '200',
        'mcp.protocol.version': opened.attributes['mcp.protocol.version'],
        'mcp.session.id': opened.attributes['mcp.session.id'],
        'turnstile.endpoint': url.pathname === '/mcp' ? 'default' : 'e'
      })
      t.match(opened.attributes['mcp.protocol.version'], /^\d{4}-\d\d-\d\d$/)
      t.match(opened.attributes['mcp.session.id'], /^.{8}-[0-9a-f]{16}$/)
      t.match(failed.attributes['error.type'], /^(-\d+|tool_error)$/)
      t.equal(failed.status.code, 2)
      t.notMatch(JSON.stringify(receiver.spans), transport.sessionId!)
      await client.close()
      t.equal(await turnstile.stop(), 0)
      while (receiver.metrics.length === 0) await sleep(20)
      const names = receiver.metrics.flat().map(({ name }) => name)
      for (const name of [
        'turnstile_sessions_active',
        'turnstile_requests_total',
        'mcp.server.operation.duration'
      ])
        t.ok(names.includes(name), name)
    }
  )
}
