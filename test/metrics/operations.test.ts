// Owns the figures of operations: what is counted, and that strangers cannot make labels without end.
import t from 'tap'
import { expanded, type Metric } from '../../src/metrics/metric.js'
import { type Operation, Operations } from '../../src/metrics/operations.js'

const operation = (method: string, rest: Partial<Operation> = {}): Operation => ({
  ...{ method, name: undefined, protocolVersion: undefined, status: 200 },
  ...rest
})

const metricOf = (operations: Operations, name: string): Metric =>
  expanded(operations.metrics().find(metric => metric.name === name)!)

const ACCEPTED = 'turnstile_operations_accepted_total'
const TOOLS = 'turnstile_tool_calls_accepted_total'
const DURATION = 'mcp_server_operation_duration_seconds'

void t.test('what was accepted, by method and tool', t => {
  const operations = new Operations()
  const echo = operation('tools/call', { name: 'echo' })
  for (const begun of [
    ...[echo, echo, operation('tools/call'), { ...echo, status: 404 }],
    ...[operation('prompts/get', { name: 'greeting' }), operation('made/up')]
  ])
    operations.began(begun)
  const { values } = metricOf(operations, ACCEPTED)
  const counted = values.filter(({ value }) => value > 0)
  t.ok(values.length > 20, 'those of the protocol are there from the start')
  t.same(
    counted.map(({ labels, value }) => [labels.mcp_method_name, value]),
    [
      ['other', 1],
      ['prompts/get', 1],
      ['tools/call', 3]
    ]
  )
  t.same(
    metricOf(operations, TOOLS).values.map(({ labels, value }) => [labels.gen_ai_tool_name, value]),
    [
      ['other', 0],
      ['echo', 2]
    ]
  )
  t.end()
})

void t.test('errors and unread responses, and errors by the tools that were accepted', t => {
  const operations = new Operations()
  operations.began(operation('tools/call', { name: 'echo' }))
  const outcome = { bytesIn: 0, bytesOut: 0, calls: 1, errors: 1, unread: 0 }
  const call = { calls: 1, errors: 1, durationMs: 5 } as const
  operations.outcome(outcome, [{ ...call, name: 'echo' }])
  operations.outcome({ ...outcome, errors: 0, unread: 2 }, [{ ...call, errors: 0, name: 'echo' }])
  operations.outcome({ ...outcome, errors: 2 }, [
    { ...call, name: 'never accepted' },
    { ...call, name: undefined }
  ])
  operations.outcome({ ...outcome, errors: 3 }, [])
  const valuesOf = (name: string) => metricOf(operations, name).values.map(({ value }) => value)
  t.same(valuesOf('turnstile_errors_total'), [6])
  t.same(valuesOf('turnstile_unread_responses_total'), [2])
  t.same(
    metricOf(operations, 'turnstile_tool_errors_total').values.map(({ labels, value }) => [
      labels.gen_ai_tool_name,
      value
    ]),
    [
      ['other', 2],
      ['echo', 1]
    ]
  )
  t.end()
})

void t.test('durations in cumulative buckets, by what is known', t => {
  const operations = new Operations()
  const echo = operation('tools/call', { name: 'echo', protocolVersion: '2025-11-25' })
  operations.began(echo)
  for (const seconds of [0.01, 0.011, 1_000]) operations.ended(echo, seconds, false)
  operations.ended(echo, 1, true)
  operations.ended({ ...echo, status: 500, name: 'unheard of' }, 1, false)
  operations.ended(operation('ping', { protocolVersion: '1999-01-01' }), 1, false)
  const { values, type } = metricOf(operations, DURATION)
  t.equal(type, 'histogram')
  const common = {
    mcp_method_name: 'tools/call',
    mcp_protocol_version: '2025-11-25',
    network_transport: 'tcp'
  }
  const ofEcho = values.filter(({ labels }) => labels.gen_ai_tool_name === 'echo' && !labels.error_type)
  const buckets = ofEcho.filter(({ metricName }) => metricName === `${DURATION}_bucket`)
  const upTo = (le: string) => buckets.find(({ labels }) => labels.le === le)?.value
  t.same(['0.01', '0.02', '300', '+Inf'].map(upTo), [1, 2, 2, 3])
  t.same(ofEcho.slice(-2), [
    { value: 1000.021, labels: { ...common, gen_ai_tool_name: 'echo' }, metricName: `${DURATION}_sum` },
    { value: 3, labels: { ...common, gen_ai_tool_name: 'echo' }, metricName: `${DURATION}_count` }
  ])
  const counts = values.filter(({ metricName }) => metricName === `${DURATION}_count`)
  t.same(
    counts.slice(1).map(({ labels }) => labels),
    [
      { ...common, gen_ai_tool_name: 'echo', error_type: 'cancelled' },
      { ...common, gen_ai_tool_name: 'other', error_type: '500' },
      { mcp_method_name: 'ping', mcp_protocol_version: 'other', network_transport: 'tcp' }
    ]
  )
  t.end()
})

void t.test('whatever strangers send, series are few, each is once, and nothing is left out', t => {
  const operations = new Operations()
  const names = [
    'other',
    'x'.repeat(256),
    'a\nb',
    '',
    '__proto__',
    ...Array.from({ length: 500 }, (_, i) => `tool${i}`)
  ]
  let sent = 0
  for (const name of names) {
    for (const status of [200, 200, 404, 499]) {
      for (const method of ['tools/call', name]) {
        const asked = operation(method, { name, status, protocolVersion: name })
        operations.began(asked)
        operations.ended(asked, 1, false)
        sent++
      }
    }
  }
  for (const metric of operations.metrics().map(expanded)) {
    const keys = metric.values.map(({ labels, metricName }) =>
      JSON.stringify([metricName, Object.entries(labels).sort()])
    )
    t.equal(new Set(keys).size, keys.length, `${metric.name}: each once`)
    t.ok(metric.values.length <= 301 * 17, `${metric.name}: ${metric.values.length}`)
  }
  const durations = metricOf(operations, DURATION).values.filter(
    ({ metricName }) => metricName === `${DURATION}_count`
  )
  t.equal(
    durations.reduce((sum, { value }) => sum + value, 0),
    sent
  )
  const tools = metricOf(operations, TOOLS).values
  t.equal(tools.length, 101)
  t.notOk(tools.some(({ labels }) => labels.gen_ai_tool_name === 'a\nb'))
  t.end()
})
