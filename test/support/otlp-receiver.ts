// Owns a collector that keeps what it gets over OTLP/HTTP as JSON, which is the protobuf's JSON form (OTLP 1.x, "JSON Protobuf Encoding").
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'

interface Attribute {
  key: string
  value: { stringValue?: string; intValue?: number | string; doubleValue?: number; boolValue?: boolean }
}

/** A span, with its attributes and those of its resource by their names. */
export interface OtlpSpan {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  kind: number
  startTimeUnixNano: string
  endTimeUnixNano: string
  links?: { traceId: string; spanId: string }[]
  status: { code?: number }
  attributes: Record<string, unknown>
  resource: Record<string, unknown>
}

interface Points {
  isMonotonic?: boolean
  aggregationTemporality?: number
  dataPoints: {
    attributes: Attribute[]
    asDouble?: number
    count?: number | string
    sum?: number
    bucketCounts?: (number | string)[]
    explicitBounds?: number[]
  }[]
}

/** A metric, as it came. */
export interface OtlpMetric {
  name: string
  unit?: string
  sum?: Points
  gauge?: Points
  histogram?: Points
}

interface Traces {
  resourceSpans: {
    resource: { attributes: Attribute[] }
    scopeSpans: { spans: (Omit<OtlpSpan, 'attributes' | 'resource'> & { attributes: Attribute[] })[] }[]
  }[]
}

interface Metrics {
  resourceMetrics: { resource: { attributes: Attribute[] }; scopeMetrics: { metrics: OtlpMetric[] }[] }[]
}

/** Attributes by their names. */
export const byName = (attributes: readonly Attribute[] = []): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))

export class OtlpReceiver {
  readonly spans: OtlpSpan[] = []
  /** Of each export. */
  readonly metrics: OtlpMetric[][] = []
  /** What else an export of metrics says of who sent it. */
  readonly metricResources: Record<string, unknown>[] = []
  readonly requests: { path: string; headers: IncomingHttpHeaders; body: Buffer }[] = []
  /** The status of responses. */
  status = 200
  readonly #server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.once('end', () => {
      const { headers, url = '' } = request
      const sent = Buffer.concat(parts)
      const body = headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent
      this.requests.push({ path: url, headers, body })
      if (this.status === 200 && headers['content-type'] === 'application/json')
        this.#keep(url, body.toString())
      response.writeHead(this.status, { 'content-type': headers['content-type'] }).end()
    })
  })

  static async start(port = 0): Promise<OtlpReceiver> {
    const receiver = new OtlpReceiver()
    receiver.#server.listen(port, '127.0.0.1')
    await once(receiver.#server, 'listening')
    return receiver
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** The variables with which a proxy exports here, as JSON and soon. */
  get variables(): Record<string, string> {
    return {
      OTEL_EXPORTER_OTLP_ENDPOINT: this.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_BSP_SCHEDULE_DELAY: '50',
      OTEL_METRIC_EXPORT_INTERVAL: '60000'
    }
  }

  /** Resolves with the first span that is so, once it came. */
  async span(isIt: (span: OtlpSpan) => boolean): Promise<OtlpSpan> {
    for (;;) {
      const found = this.spans.find(isIt)
      if (found !== undefined) return found
      await sleep(20)
    }
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise(resolve => this.#server.close(resolve))
  }

  #keep(path: string, json: string): void {
    if (path === '/v1/metrics') {
      const { resourceMetrics } = JSON.parse(json) as Metrics
      for (const { resource, scopeMetrics } of resourceMetrics) {
        this.metricResources.push(byName(resource.attributes))
        this.metrics.push(scopeMetrics.flatMap(({ metrics }) => metrics))
      }
      return
    }
    for (const { resource, scopeSpans } of (JSON.parse(json) as Traces).resourceSpans)
      for (const span of scopeSpans.flatMap(({ spans }) => spans))
        this.spans.push({
          ...span,
          attributes: byName(span.attributes),
          resource: byName(resource.attributes)
        })
  }
}
