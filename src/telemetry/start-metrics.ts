// Owns the export of metrics over OTLP: what `/metrics` shows, pushed at intervals.
import type { OtlpProtocol } from '../config/otlp-variables.js'
import type { Metric } from '../metrics/metric.js'
import type { Log } from '../util/log.js'
import type { Closable } from '../util/startup.js'
import { preciseNow, SECOND_MS } from '../util/time.js'
import { lastExport } from './last-export.js'
import { metricData } from './metric-data.js'
import {
  type CollectionResult,
  JsonMetricExporter,
  MeterProvider,
  millisToHrTime,
  PeriodicExportingMetricReader,
  ProtobufMetricExporter
} from './opentelemetry.js'
import { resourceOf, type ServiceIdentity } from './resource.js'
import { watched } from './watched-exporter.js'

/** What the export of metrics needs. The SDK reads where to, and with which headers, from the environment. */
export interface MetricSettings extends ServiceIdentity {
  protocol: OtlpProtocol
  metricIntervalMs: number
  metricTimeoutMs: number
  /** The last push may take so long. */
  drainTimeoutMs: number
  /** All metrics as they are now. */
  read: () => Promise<Metric[]>
  log: Log
}

/** Metrics that are pushed. `close` waits for the last push. */
export interface PushedMetrics extends Closable {
  /** Reads them for the last time, because the proxies cannot be asked while they close, and begins to push that. */
  finish(): Promise<void>
}

/** Starts the export. */
export function startMetrics(settings: MetricSettings): PushedMetrics {
  const { protocol, metricIntervalMs, metricTimeoutMs, drainTimeoutMs, read, log, ...identity } = settings
  const resource = resourceOf(identity)
  const scope = { name: 'mcp-turnstile', version: identity.version }
  const startTime = millisToHrTime(preciseNow() - process.uptime() * SECOND_MS)
  let last: Metric[] | undefined
  let lastPush = Promise.resolve()
  const collect = async (): Promise<CollectionResult> => {
    const metrics = metricData(last ?? (await read()), { startTime, endTime: millisToHrTime(preciseNow()) })
    return { resourceMetrics: { resource, scopeMetrics: [{ scope, metrics }] }, errors: [] }
  }
  const exporter = protocol === 'http/json' ? new JsonMetricExporter() : new ProtobufMetricExporter()
  const reader = new PeriodicExportingMetricReader({
    exporter: watched(exporter, 'metrics', log),
    exportIntervalMillis: metricIntervalMs,
    exportTimeoutMillis: metricTimeoutMs,
    metricProducers: [{ collect }]
  })
  const provider = new MeterProvider({ resource, readers: [reader] })
  return {
    async finish() {
      last = await read()
      lastPush = lastExport(provider.forceFlush(), drainTimeoutMs)
    },
    close: () => lastPush
  }
}
