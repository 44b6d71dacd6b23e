// Owns the figures of forwarding: requests and responses, refusals, failures, bytes. They are plain numbers, as they are counted
// while a client waits.
import { STATUS_CODES } from 'node:http'
import { Histogram } from './histogram.js'
import { MAX_UPSTREAMS, OTHER } from './labels.js'
import { counter, gauge, type Labels, type PortableMetric, sample } from './metric.js'

/** Why a request, or what should have been one, was not forwarded or was cut; a value of the label `reason`. */
export type RefusalReason =
  /** Over a limit. */
  | 'connections'
  | 'streams'
  | 'requests'
  | 'sessions'
  | 'principal'
  /** The endpoint is drained. */
  | 'draining'
  /** Its `Host` or `Origin` is not allowed. */
  | 'host'
  | 'origin'
  | 'malformed'
  /** The head, or the extensions of a chunk. */
  | 'too_large'
  /** The client stopped in the middle. */
  | 'stalled'

/** Why the upstream gave no response, or no complete one; a value of the label `reason`. */
export type UpstreamFailure = 'unreachable' | 'timeout' | 'invalid_answer' | 'broken_off'

/** Why a request that looks like MCP was not accounted; a value of the label `reason`. */
export type UncountedReason =
  /** No pattern covers its path. */
  | 'path'
  /** Its path is no UTF-8. */
  | 'encoding'

/** The figures of this moment; `proxy-server.ts` reads them from the parts that have them. */
export interface Standing {
  connections: number
  webSockets: number
  streams: number
  requests: number
  /** Limits; 0: none. */
  maxConnections: number
  maxStreams: number
  maxRequests: number
  /** The connections to each gateway: open, idle, and opened since the process started; `BY_ALL` is the name of the only one. */
  upstreams: { name: string; open: number; idle: number; opened: number }[]
  /** Bytes on the client connections that are open. */
  receivedBytes: number
  sentBytes: number
  /** The upstream holds the second part of its responses back (`DelayedAckDetector`). */
  upstreamStalls: boolean
}

const METHODS = ['GET', 'POST', 'DELETE', 'HEAD', 'OPTIONS', 'PUT']
const METHOD_INDEXES = new Map(METHODS.map((method, i) => [method, i]))
const OTHER_METHOD = METHODS.length
/** Status codes of HTTP are below this (RFC 9110 §15); `CLASSES`: 1xx to 5xx, and 0 for those that HTTP does not have. */
const STATUSES = 600
const CLASSES = STATUSES / 100

/** In place of the name of a gateway, where there is one gateway: its counts have no label for it. */
export const BY_ALL = ''

/** Upper bounds of the histogram, in seconds. Chosen: from a local upstream's milliseconds to tools that take minutes. */
const HEADERS_BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]

/** Counts from the start of the process on. */
export class Traffic {
  /** By gateway (`BY_ALL` where there is one), method and status; status 0 stands for those that HTTP does not have. */
  readonly #responses = new Map<string, Float64Array>()
  /** By method and class of status. */
  readonly #headers: (Histogram | undefined)[] = Array<undefined>((METHODS.length + 1) * CLASSES).fill(
    undefined
  )
  readonly #refusals: Record<RefusalReason, number> = {
    ...{
      connections: 0,
      streams: 0,
      requests: 0,
      sessions: 0,
      principal: 0,
      draining: 0,
      host: 0,
      origin: 0
    },
    ...{ malformed: 0, too_large: 0, stalled: 0 }
  }
  readonly #failures = new Map([[BY_ALL, noFailures()]])
  /** Requests that look like MCP and were not accounted. */
  readonly uncounted: Record<UncountedReason, number> = { path: 0, encoding: 0 }
  #abandoned = 0
  #unreadableStreams = 0
  /** On connections that ended. */
  #receivedBytes = 0
  #sentBytes = 0
  /** What was exposed last: a counter must not fall if bytes that waited for a client are never sent because it left. */
  readonly #exposed = { receivedBytes: 0, sentBytes: 0 }

  /** The upstream's response began, `seconds` after its request; `upstream`: its name, where there are several. */
  responded(method: string, status: number, seconds: number, upstream = BY_ALL): void {
    const index = this.#count(method, status, upstream)
    const at = index * CLASSES + (status < STATUSES ? Math.trunc(status / 100) : 0)
    const histogram = (this.#headers[at] ??= new Histogram(HEADERS_BOUNDS))
    histogram.observe(seconds)
  }

  /** The upstream failed; the client got `status` from the proxy, or undefined if its response had begun. */
  failed(method: string, reason: UpstreamFailure, status?: number, upstream = BY_ALL): void {
    ofUpstream(this.#failures, upstream, noFailures)[reason]++
    if (status !== undefined) this.#count(method, status, upstream)
  }

  /** A request was not forwarded, or a client was cut. */
  refused(reason: RefusalReason): void {
    this.#refusals[reason]++
  }

  /** The client left before its response began. */
  abandoned(): void {
    this.#abandoned++
  }

  /** A legacy stream could not be read. Returns whether it is the first one. */
  streamUnreadable(): boolean {
    return ++this.#unreadableStreams === 1
  }

  /** A client's connection ended. */
  disconnected({ bytesRead, bytesWritten }: { bytesRead: number; bytesWritten: number }): void {
    this.#receivedBytes += bytesRead
    this.#sentBytes += bytesWritten
  }

  /** All of it, to be exposed. */
  metrics(now: Standing): PortableMetric[] {
    const exposed = this.#exposed
    exposed.receivedBytes = Math.max(exposed.receivedBytes, this.#receivedBytes + now.receivedBytes)
    exposed.sentBytes = Math.max(exposed.sentBytes, this.#sentBytes + now.sentBytes)
    return [
      counter(
        'turnstile_requests_total',
        'Forwarded requests by HTTP method and status of the response; 502 and 504 include those that the proxy itself sent.',
        this.#responseCounts()
      ),
      counter(
        'turnstile_requests_abandoned_total',
        'Forwarded requests whose client left before the response began.',
        this.#abandoned
      ),
      counter(
        'turnstile_unreadable_streams_total',
        'Legacy streams whose session is not counted, as their endpoint event could not be read.',
        this.#unreadableStreams
      ),
      counter(
        'turnstile_refusals_total',
        'Requests that the proxy refused or cut, by reason.',
        byReason(this.#refusals)
      ),
      counter(
        'turnstile_upstream_errors_total',
        'Requests to which the upstream gave no response, or no complete one, by reason.',
        Array.from(this.#failures, ([upstream, failures]) =>
          byReason(failures).map(({ value, labels }) => sample(value, labelled(labels, upstream)))
        ).flat()
      ),
      {
        name: 'turnstile_upstream_headers_seconds',
        help: 'Time from sending a request upstream until the head of its response, by HTTP method and class of status.',
        bounds: HEADERS_BOUNDS,
        series: this.#headers.flatMap((histogram, i) => histogram?.series(headersLabels(i)) ?? [])
      },
      counter(
        'turnstile_received_bytes_total',
        'Bytes that clients sent, heads included.',
        exposed.receivedBytes
      ),
      counter(
        'turnstile_sent_bytes_total',
        'Bytes that clients were sent, heads included.',
        exposed.sentBytes
      ),
      gauge('turnstile_client_connections', 'Open connections of clients.', now.connections),
      gauge('turnstile_websockets', 'Open WebSockets.', now.webSockets),
      gauge('turnstile_streams', 'Streams under way, as --max-streams counts them.', now.streams),
      gauge('turnstile_requests', 'Other requests under way, as --max-requests counts them.', now.requests),
      gauge(
        'turnstile_limit',
        'Limits, by what is limited; one that is off has no sample.',
        Object.entries({
          connections: now.maxConnections,
          streams: now.maxStreams,
          requests: now.maxRequests
        }).flatMap(([of, limit]) => (limit > 0 ? [sample(limit, { of })] : []))
      ),
      gauge('turnstile_upstream_connections', 'Open connections to the upstream, by state.', [
        ...now.upstreams.flatMap(({ name, open, idle }) => [
          sample(idle, labelled({ state: 'idle' }, name)),
          sample(open - idle, labelled({ state: 'active' }, name))
        ])
      ]),
      counter(
        'turnstile_upstream_connections_opened_total',
        'Connections to the upstream that were opened for requests.',
        now.upstreams.map(({ name, opened }) => sample(opened, labelled({}, name)))
      ),
      gauge(
        'turnstile_upstream_stalls',
        '1: the upstream holds the second part of its responses back (Nagle), so the proxy lets its connections rest; 0 where the proxy acknowledges at once.',
        Number(now.upstreamStalls),
        'max'
      )
    ]
  }

  /** The index of the method. */
  #count(method: string, status: number, upstream: string): number {
    const index = METHOD_INDEXES.get(method) ?? OTHER_METHOD
    ofUpstream(this.#responses, upstream, noResponses)[index * STATUSES + (status < STATUSES ? status : 0)]!++
    return index
  }

  #responseCounts() {
    const counts = new Map<string, { value: number; labels: Labels }>()
    for (const [upstream, responses] of this.#responses)
      responses.forEach((count, i) => {
        if (count === 0) return
        const status = i % STATUSES
        const method = METHODS[Math.trunc(i / STATUSES)] ?? 'other'
        const code = status in STATUS_CODES ? String(status) : 'other'
        const known = counts.get(`${method} ${code} ${upstream}`)
        if (known) known.value += count
        else counts.set(`${method} ${code} ${upstream}`, sample(count, labelled({ method, code }, upstream)))
      })
    return [...counts.values()]
  }
}

const noResponses = (): Float64Array => new Float64Array((METHODS.length + 1) * STATUSES)

const noFailures = (): Record<UpstreamFailure, number> => ({
  ...{ unreachable: 0, timeout: 0, invalid_answer: 0, broken_off: 0 }
})

/** The counts of a gateway; those of gateways above `MAX_UPSTREAMS` are counted together. */
function ofUpstream<T>(counts: Map<string, T>, upstream: string, none: () => T): T {
  const known = counts.get(upstream)
  if (known !== undefined) return known
  const name = counts.size < MAX_UPSTREAMS ? upstream : OTHER
  const made = counts.get(name) ?? none()
  counts.set(name, made)
  return made
}

const labelled = (labels: Labels, upstream: string): Labels =>
  upstream === BY_ALL ? labels : { ...labels, upstream }

/** A sample for each reason. */
export const byReason = (counts: Record<string, number>) =>
  Object.entries(counts).map(([reason, count]) => sample(count, { reason }))

function headersLabels(i: number): Labels {
  const statusClass = i % CLASSES
  return {
    method: METHODS[Math.trunc(i / CLASSES)] ?? 'other',
    code: statusClass === 0 ? 'other' : `${statusClass}xx`
  }
}
