// Owns the tests of the variables of OpenTelemetry: what they turn on, and what is said of those that cannot be used.
import t from 'tap'
import type { OtlpSettings } from '../../src/config/otlp-variables.js'
import { parseConfig } from '../../src/config/read-settings.js'

type Env = Record<string, string>

const parsed = (env: Env): OtlpSettings | undefined =>
  parseConfig(['--upstream', 'http://127.0.0.1:3000'], env).otlp
const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' }

void t.test('an endpoint turns on what it is for', t => {
  const on: [Env, Partial<OtlpSettings>][] = [
    [
      ENDPOINT,
      { traces: 'http/protobuf', metrics: 'http/protobuf', metricIntervalMs: 60_000, metricTimeoutMs: 30_000 }
    ],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://c/v1' }, { traces: 'http/protobuf', metrics: undefined }],
    [
      { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'https://c/v1' },
      { traces: undefined, metrics: 'http/protobuf' }
    ],
    [{ OTEL_TRACES_EXPORTER: 'console, otlp' }, { traces: 'http/protobuf', metrics: undefined }],
    [
      { ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none' },
      { traces: undefined, metrics: 'http/protobuf' }
    ],
    [
      { ...ENDPOINT, OTEL_METRICS_EXPORTER: 'prometheus' },
      { traces: 'http/protobuf', metrics: undefined }
    ],
    [
      {
        ...ENDPOINT,
        OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
        OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: 'http/protobuf'
      },
      { traces: 'http/json', metrics: 'http/protobuf' }
    ],
    [
      { ...ENDPOINT, OTEL_METRIC_EXPORT_INTERVAL: '5000', OTEL_METRIC_EXPORT_TIMEOUT: '9000' },
      { metricIntervalMs: 5_000, metricTimeoutMs: 5_000 }
    ]
  ]
  for (const [env, settings] of on) t.match(parsed(env), settings, JSON.stringify(env))
  t.end()
})

void t.test('nothing is on without one, and with OTEL_SDK_DISABLED; then the others are not looked at', t => {
  const off: Env[] = [
    {},
    { OTEL_EXPORTER_OTLP_ENDPOINT: ' ' },
    { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_SERVICE_NAME: 'a' },
    { ...ENDPOINT, OTEL_SDK_DISABLED: 'TRUE', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
    { ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none', OTEL_METRICS_EXPORTER: 'none' }
  ]
  for (const env of off) t.equal(parsed(env), undefined, JSON.stringify(env))
  t.end()
})

void t.test('what cannot be used is one line that names the variable, and no URL', t => {
  const faults: [Env, string][] = [
    [
      { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
      'OTEL_EXPORTER_OTLP_PROTOCOL "grpc" cannot be used: give http/protobuf or http/json'
    ],
    [
      { OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: 'grpc' },
      'OTEL_EXPORTER_OTLP_METRICS_PROTOCOL "grpc" cannot be used: give http/protobuf or http/json'
    ],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4317' },
      'OTEL_EXPORTER_OTLP_ENDPOINT cannot be used: give an http or https URL'
    ],
    [
      { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: '//user:secret@c' },
      'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT cannot be used: give an http or https URL'
    ],
    [
      { OTEL_EXPORTER_OTLP_COMPRESSION: 'zstd' },
      'OTEL_EXPORTER_OTLP_COMPRESSION "zstd" cannot be used: give gzip or none'
    ],
    [
      { OTEL_EXPORTER_OTLP_TIMEOUT: '10s' },
      'OTEL_EXPORTER_OTLP_TIMEOUT "10s" cannot be used: give a whole number of milliseconds above 0'
    ],
    [
      { OTEL_TRACES_SAMPLER_ARG: '2' },
      'OTEL_TRACES_SAMPLER_ARG "2" cannot be used: give a number from 0 to 1'
    ],
    [
      { OTEL_METRIC_EXPORT_INTERVAL: '0' },
      'OTEL_METRIC_EXPORT_INTERVAL "0" cannot be used: give a whole number of milliseconds above 0'
    ],
    [
      { OTEL_BSP_MAX_QUEUE_SIZE: '-1' },
      'OTEL_BSP_MAX_QUEUE_SIZE "-1" cannot be used: give a whole number above 0'
    ]
  ]
  for (const [env, message] of faults)
    t.throws(() => parsed({ ...ENDPOINT, ...env }), { code: 'BAD_VALUE', message })
  t.throws(() => parsed({ ...ENDPOINT, OTEL_TRACES_SAMPLER: 'jaeger_remote' }), {
    message: /^OTEL_TRACES_SAMPLER "jaeger_remote" cannot be used: give always_on or /
  })
  t.end()
})
