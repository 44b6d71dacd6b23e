// Owns which parts of OpenTelemetry are used. It is the only file that imports them, and is loaded only where something is
// exported. The build puts them into it (`build.js`): as packages they would add 18 MB to each installation.
export {
  type Attributes,
  defaultTextMapGetter,
  type HrTime,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
  ValueType
} from '@opentelemetry/api'
export {
  type ExportResult,
  ExportResultCode,
  millisToHrTime,
  W3CTraceContextPropagator
} from '@opentelemetry/core'
export { OTLPMetricExporter as JsonMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http'
export { OTLPMetricExporter as ProtobufMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto'
export { OTLPTraceExporter as JsonTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
export { OTLPTraceExporter as ProtobufTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
export {
  defaultResource,
  detectResources,
  envDetector,
  type Resource,
  resourceFromAttributes
} from '@opentelemetry/resources'
export {
  AggregationTemporality,
  type CollectionResult,
  DataPointType,
  MeterProvider,
  type MetricData,
  PeriodicExportingMetricReader
} from '@opentelemetry/sdk-metrics'
export { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base'
