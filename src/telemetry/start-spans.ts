// Owns the export of spans over OTLP: one for each request that is over, in batches that never hold a request up. The SDK bounds
// what waits for the collector (`OTEL_BSP_MAX_QUEUE_SIZE`), and drops what is above that.
import type { OtlpProtocol } from '../config/otlp-variables.js'
import type { StoredId } from '../mcp/stored-ids.js'
import type { AccessEntry, WriteAccess } from '../proxy/access-entry.js'
import type { Log } from '../util/log.js'
import { preciseNow } from '../util/time.js'
import { lastExport } from './last-export.js'
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  defaultTextMapGetter,
  JsonTraceExporter,
  millisToHrTime,
  ProtobufTraceExporter,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
  W3CTraceContextPropagator
} from './opentelemetry.js'
import { MAX_TEXT, requestSpan } from './request-span.js'
import { resourceOf, type ServiceIdentity } from './resource.js'
import { watched } from './watched-exporter.js'

/** What the export of spans needs. The SDK reads where to, with which headers and which share of them from the environment. */
export interface SpanSettings extends ServiceIdentity {
  protocol: OtlpProtocol
  /** A session id as it may be shown. */
  maskId: (sessionId: StoredId) => string
  log: Log
}

/** Takes requests that are over. */
export interface Spans {
  readonly write: WriteAccess
  /** Exports what still waits. */
  close(withinMs: number): Promise<void>
}

/** Starts the export. */
export function startSpans({ protocol, maskId, log, ...identity }: SpanSettings): Spans {
  const exporter = protocol === 'http/json' ? new JsonTraceExporter() : new ProtobufTraceExporter()
  const provider = new BasicTracerProvider({
    resource: resourceOf(identity),
    spanLimits: { attributeValueLengthLimit: MAX_TEXT },
    spanProcessors: [new BatchSpanProcessor(watched(exporter, 'spans', log))]
  })
  const tracer = provider.getTracer('mcp-turnstile', identity.version)
  return {
    write(entry) {
      const end = preciseNow()
      const startTime = millisToHrTime(end - entry.durationMs)
      const [ofHeader, ofMessage] = [contextIn(entry), contextIn(entry.sent)]
      const parent = ofHeader ?? ofMessage
      const isOther = ofMessage !== undefined && ofMessage.spanId !== parent?.spanId
      const span = tracer.startSpan(
        entry.httpMethod,
        { kind: SpanKind.SERVER, startTime, links: isOther ? [{ context: ofMessage }] : [] },
        parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent)
      )
      // The sampler leaves it out.
      if (!span.isRecording()) return
      const { name, attributes, error } = requestSpan(entry, maskId)
      span.updateName(name).setAttributes(attributes)
      if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR })
      span.end(millisToHrTime(end))
    },
    close: withinMs => lastExport(provider.shutdown(), withinMs)
  }
}

const propagator = new W3CTraceContextPropagator()

/** The span of the client, as header fields or `_meta` name it; undefined where they do not, or cannot be read. */
const contextIn = (
  carrier: Pick<AccessEntry, 'traceparent' | 'tracestate'> | undefined
): SpanContext | undefined =>
  trace.getSpanContext(propagator.extract(ROOT_CONTEXT, carrier, defaultTextMapGetter))
