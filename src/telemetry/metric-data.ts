// Owns the form of OTLP of the metrics that `/metrics` shows. They keep their names and labels, but for those that the
// OpenTelemetry semantic conventions for MCP name otherwise than Prometheus can.
import type { Metric, Value } from '../metrics/metric.js'
import {
  AggregationTemporality,
  type Attributes,
  DataPointType,
  type HrTime,
  type MetricData,
  ValueType
} from './opentelemetry.js'

/** Names of the conventions. Where a collector turns them into Prometheus' names again, these become those of `/metrics`. */
const METRICS: Record<string, string> = {
  mcp_server_operation_duration_seconds: 'mcp.server.operation.duration',
  mcp_server_session_duration_seconds: 'mcp.server.session.duration'
}
const LABELS: Record<string, string> = {
  error_type: 'error.type',
  gen_ai_tool_name: 'gen_ai.tool.name',
  mcp_method_name: 'mcp.method.name',
  mcp_protocol_version: 'mcp.protocol.version',
  network_transport: 'network.transport'
}
/** Units (UCUM) by how a name ends. */
const UNITS = [
  [/_seconds(_total)?$/, 's'],
  [/_bytes(_total)?$/, 'By']
] as const

/** From when on counts count, and when they were read. */
export interface Times {
  startTime: HrTime
  endTime: HrTime
}

/** Those without values are left out. */
export const metricData = (metrics: readonly Metric[], times: Times): MetricData[] =>
  metrics.filter(({ values }) => values.length > 0).map(metric => dataOf(metric, times))

function dataOf({ name, help, type, values }: Metric, times: Times): MetricData {
  const unit = UNITS.find(([ending]) => ending.test(name))?.[1] ?? ''
  const common = {
    descriptor: { name: METRICS[name] ?? name, description: help, unit, valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE
  }
  if (type === 'histogram')
    return { ...common, dataPointType: DataPointType.HISTOGRAM, dataPoints: histograms(values, times) }
  const dataPoints = values.map(({ value, labels }) => ({
    ...times,
    attributes: attributesOf(labels),
    value
  }))
  return type === 'gauge'
    ? { ...common, dataPointType: DataPointType.GAUGE, dataPoints }
    : { ...common, dataPointType: DataPointType.SUM, dataPoints, isMonotonic: true }
}

const attributesOf = (labels: Value['labels']): Attributes =>
  Object.fromEntries(Object.entries(labels).map(([name, text]) => [LABELS[name] ?? name, text]))

type HistogramPoint = (MetricData & { dataPointType: DataPointType.HISTOGRAM })['dataPoints'][number]

/** Prometheus' buckets also count what is in the buckets below them; those of OTLP do not. */
function histograms(values: readonly Value[], times: Times): HistogramPoint[] {
  const series = new Map<string, Value[]>()
  for (const value of values) {
    const { le: _, ...labels } = value.labels
    const key = JSON.stringify(Object.entries(labels).sort())
    series.set(key, [...(series.get(key) ?? []), value])
  }
  return Array.from(series.values(), of => histogramOf(of, times))
}

function histogramOf(values: readonly Value[], times: Times): HistogramPoint {
  const { le: _, ...labels } = values[0]!.labels
  const buckets = values
    .flatMap(({ labels: { le }, value }) =>
      le === undefined ? [] : [{ bound: Number(le.replace('+Inf', 'Infinity')), value }]
    )
    .sort((a, b) => a.bound - b.bound)
  const valueOf = (ending: string): number =>
    values.find(({ metricName }) => metricName?.endsWith(ending))?.value ?? 0
  return {
    ...times,
    attributes: attributesOf(labels),
    value: {
      buckets: {
        boundaries: buckets.map(({ bound }) => bound).filter(Number.isFinite),
        counts: buckets.map(({ value }, i) => value - (buckets[i - 1]?.value ?? 0))
      },
      sum: valueOf('_sum'),
      count: valueOf('_count')
    }
  }
}
