// Owns the standard variables of OpenTelemetry that say whether and how to export. The SDK reads the others by itself, those with
// secrets among them (`OTEL_EXPORTER_OTLP_HEADERS`).
import { randomUUID } from 'node:crypto'
import { MAX_DURATION_MS } from '../util/time.js'

/** How what is exported is encoded, over HTTP (OTLP, "Specify Protocol"). */
export type OtlpProtocol = 'http/protobuf' | 'http/json'

/** What is exported, and how; plain data. */
export interface OtlpSettings {
  /** Undefined: none. */
  traces: OtlpProtocol | undefined
  metrics: OtlpProtocol | undefined
  /** Between two exports of metrics. */
  metricIntervalMs: number
  metricTimeoutMs: number
  /** `service.instance.id`: tells this process from others of the same service. */
  instanceId: string
}

type Env = Record<string, string | undefined>

const SIGNALS = ['TRACES', 'METRICS'] as const
type Signal = (typeof SIGNALS)[number]

/** Defaults of the specification ("Environment Variable Specification", OTLP exporter and periodic metric reader). */
const PROTOCOL: OtlpProtocol = 'http/protobuf'
const METRIC_INTERVAL_MS = 60_000
const METRIC_TIMEOUT_MS = 30_000

/** What is valid, and whether a text is. */
type Rule = readonly [expected: string, isValid: (text: string) => boolean]

const isCount = (text: string): boolean => /^[1-9]\d*$/.test(text) && Number(text) <= MAX_DURATION_MS
const milliseconds: Rule = ['a whole number of milliseconds above 0', isCount]
const number: Rule = ['a whole number above 0', isCount]
const oneOf = (...texts: string[]): Rule => [texts.join(' or '), text => texts.includes(text)]
const fraction: Rule = ['a number from 0 to 1', text => Number(text) >= 0 && Number(text) <= 1]

/** Of variables that there are for all signals, and again for each: `OTEL_EXPORTER_OTLP_` or `OTEL_EXPORTER_OTLP_TRACES_`. */
const EXPORTER_RULES: Record<string, Rule> = {
  ENDPOINT: ['an http or https URL', isHttpUrl],
  PROTOCOL: oneOf('http/protobuf', 'http/json'),
  TIMEOUT: milliseconds,
  COMPRESSION: oneOf('gzip', 'none')
}
const SIGNAL_RULES: Record<Signal, Record<string, Rule>> = {
  TRACES: {
    OTEL_TRACES_SAMPLER: oneOf(
      'always_on',
      'always_off',
      'traceidratio',
      'parentbased_always_on',
      'parentbased_always_off',
      'parentbased_traceidratio'
    ),
    OTEL_TRACES_SAMPLER_ARG: fraction,
    OTEL_BSP_SCHEDULE_DELAY: milliseconds,
    OTEL_BSP_EXPORT_TIMEOUT: milliseconds,
    OTEL_BSP_MAX_QUEUE_SIZE: number,
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE: number
  },
  METRICS: { OTEL_METRIC_EXPORT_INTERVAL: milliseconds, OTEL_METRIC_EXPORT_TIMEOUT: milliseconds }
}

/** What these variables ask for; undefined: nothing is exported. They are to be checked with `faultOfOtlp` first. */
export function otlpSettings(env: Env): OtlpSettings | undefined {
  const [traces, metrics] = SIGNALS.map(signal =>
    isOn(env, signal) ? ((forSignal(env, signal, 'PROTOCOL') ?? PROTOCOL) as OtlpProtocol) : undefined
  )
  if (traces === undefined && metrics === undefined) return undefined
  const metricIntervalMs = Number(valueOf(env, 'OTEL_METRIC_EXPORT_INTERVAL') ?? METRIC_INTERVAL_MS)
  const metricTimeoutMs = Number(valueOf(env, 'OTEL_METRIC_EXPORT_TIMEOUT') ?? METRIC_TIMEOUT_MS)
  return {
    traces,
    metrics,
    metricIntervalMs,
    metricTimeoutMs: Math.min(metricIntervalMs, metricTimeoutMs),
    instanceId: randomUUID()
  }
}

/** What is wrong with the variables of what is exported, in a line; undefined: nothing. Says no URL: it may hold a password. */
export function faultOfOtlp(env: Env): string | undefined {
  for (const signal of SIGNALS.filter(signal => isOn(env, signal))) {
    const ofExporter = Object.entries(EXPORTER_RULES).map(([name, rule]): [string, Rule] => {
      const own = nameFor(signal, name)
      return [valueOf(env, own) === undefined ? nameFor(undefined, name) : own, rule]
    })
    for (const [name, [expected, isValid]] of [...ofExporter, ...Object.entries(SIGNAL_RULES[signal])]) {
      const text = valueOf(env, name)
      if (text === undefined || isValid(text)) continue
      const shown = name.endsWith('ENDPOINT') ? '' : ` ${JSON.stringify(text)}`
      return `${name}${shown} cannot be used: give ${expected}`
    }
  }
  return undefined
}

const isOn = (env: Env, signal: Signal): boolean => {
  if (valueOf(env, 'OTEL_SDK_DISABLED')?.toLowerCase() === 'true') return false
  const exporters = valueOf(env, `OTEL_${signal}_EXPORTER`)
  if (exporters !== undefined) return exporters.split(',').some(name => name.trim() === 'otlp')
  return forSignal(env, signal, 'ENDPOINT') !== undefined
}

const nameFor = (signal: Signal | undefined, name: string): string =>
  `OTEL_EXPORTER_OTLP_${signal === undefined ? '' : `${signal}_`}${name}`

const forSignal = (env: Env, signal: Signal, name: string): string | undefined =>
  valueOf(env, nameFor(signal, name)) ?? valueOf(env, nameFor(undefined, name))

/** An empty variable is an unset one (the same specification, "Parsing empty value"). */
const valueOf = (env: Env, name: string): string | undefined => env[name]?.trim() || undefined

function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)
}
