// Owns the metrics of the opens and closes that one process committed to the store. Each is committed by one process,
// whichever instances saw the session, so the sum over all processes is what happened.
import type { StoredId } from '../mcp/stored-ids.js'
import { type Transport, transportNames } from '../mcp/transports.js'
import type { EpochMs } from '../util/time.js'
import { Histogram, OPERATION_BOUNDS } from './histogram.js'
import { BoundedLabels, MAX_ENDPOINTS, protocolVersions } from './labels.js'
import { counter, type Labels, type PortableMetric, present, sample } from './metric.js'

/** A session opened (`reason` is null) or closed. */
export interface SessionTransition {
  endpointId: StoredId
  transport: Transport
  protocolVersion: string | null
  connectAt: EpochMs
  disconnectAt: EpochMs
  reason: string | null
}

/** Upper bounds in seconds: those of operations, then up to a week, for sessions last longer than operations. */
const SESSION_BOUNDS = [...OPERATION_BOUNDS, 900, 3_600, 14_400, 43_200, 86_400, 604_800]

type Counts = Map<string, { labels: Labels; count: number }>

/** Counters of opens and closes by endpoint, transport and reason, and a histogram of how long sessions lasted. */
export class SessionTally {
  readonly #endpoints = new BoundedLabels(MAX_ENDPOINTS)
  readonly #versions = protocolVersions()
  readonly #opened: Counts = new Map()
  readonly #closed: Counts = new Map()
  readonly #durations = new Map<string, { labels: Labels; histogram: Histogram }>()

  /** Counts what was committed. */
  add(transitions: readonly SessionTransition[]): void {
    for (const {
      endpointId,
      transport: type,
      protocolVersion,
      connectAt,
      disconnectAt,
      reason
    } of transitions) {
      const endpoint = this.#endpoints.at(this.#endpoints.add(endpointId))
      const transport = transportNames[type]
      if (reason === null) {
        count(this.#opened, { endpoint, transport })
        continue
      }
      count(this.#closed, { endpoint, transport, reason })
      const version = this.#versions.of(protocolVersion ?? '')
      this.#duration(transport, version).observe((disconnectAt - connectAt) / 1_000)
    }
  }

  /** What was counted since the process started. */
  metrics(): PortableMetric[] {
    const values = (counts: Counts) =>
      Array.from(counts.values(), ({ labels, count }) => sample(count, labels))
    return [
      counter(
        'turnstile_sessions_opened_total',
        'Sessions that opened, or were open again after they had been closed as idle or lost.',
        values(this.#opened)
      ),
      counter('turnstile_sessions_closed_total', 'Sessions that closed, by reason.', values(this.#closed)),
      {
        name: 'mcp_server_session_duration_seconds',
        help: 'Duration of MCP sessions that closed.',
        bounds: SESSION_BOUNDS,
        series: Array.from(this.#durations.values(), ({ labels, histogram }) => histogram.series(labels))
      }
    ]
  }

  #duration(transport: string, version: string): Histogram {
    const key = `${transport} ${version}`
    const known = this.#durations.get(key)
    if (known) return known.histogram
    const labels = present({ transport, mcp_protocol_version: version, network_transport: 'tcp' })
    const histogram = new Histogram(SESSION_BOUNDS)
    this.#durations.set(key, { labels, histogram })
    return histogram
  }
}

/** Counts by label values, which hold no line ends: stored ids and words of ours. */
function count(counts: Counts, labels: Labels): void {
  const key = Object.values(labels).join('\n')
  const known = counts.get(key)
  if (known) known.count++
  else counts.set(key, { labels, count: 1 })
}
