// Owns how the metrics of one process or several become one text for Prometheus.
import { AggregatorRegistry, Registry } from 'prom-client'
import { BoundedLabels, MAX_ENDPOINTS } from './labels.js'
import { expanded, type Metric, type PortableMetric, type Value } from './metric.js'

export const CONTENT_TYPE = Registry.PROMETHEUS_CONTENT_TYPE

/** What a process tells of itself. */
export interface Snapshot {
  /** Another one at each start. */
  process: string
  metrics: PortableMetric[]
}

/** The place of a process: what is there now, and the counts of those that died there. */
interface Place {
  process: string
  last: Metric[]
  past: Metric[]
}

/**
 * Sums never fall but when all of this starts anew, or Prometheus would take each fall for a restart and count all again:
 * the counts of a process that died or does not answer stay as they were last told.
 */
export class Exposition {
  readonly #places: (Place | undefined)[] = []
  /** The endpoints that have a label of their own, whichever process tells of them. */
  readonly endpoints = new BoundedLabels(MAX_ENDPOINTS)

  /** `snapshots`: of the processes in their places, undefined for one that does not answer. `own`: of nobody else. */
  async text(snapshots: readonly (Snapshot | undefined)[], own: readonly Metric[]): Promise<string> {
    const told = snapshots.flatMap((snapshot, place) => this.#told(snapshot, place))
    const bounded = [...told, [...own]].map(metrics => metrics.map(metric => this.#bounded(metric)))
    return await AggregatorRegistry.aggregate(bounded).metrics()
  }

  #told(snapshot: Snapshot | undefined, at: number): Metric[][] {
    const place = this.#places[at]
    if (snapshot === undefined) return place ? [place.past, counts(place.last)] : []
    const last = snapshot.metrics.map(expanded)
    const isNew = place !== undefined && place.process !== snapshot.process
    const past = isNew ? sum([place.past, counts(place.last)]) : (place?.past ?? [])
    this.#places[at] = { process: snapshot.process, last, past }
    return [last, past]
  }

  #bounded(metric: Metric): Metric {
    const values = metric.values.map((value): Value => {
      const { endpoint } = value.labels
      if (endpoint === undefined) return value
      return {
        ...value,
        labels: { ...value.labels, endpoint: this.endpoints.at(this.endpoints.add(endpoint)) }
      }
    })
    return { ...metric, values }
  }
}

const counts = (metrics: readonly Metric[]): Metric[] => metrics.filter(({ type }) => type !== 'gauge')

/** A registry keeps what it was given to aggregate as it is; prom-client's types know only those that observe. */
const sum = (metrics: readonly Metric[][]): Metric[] =>
  AggregatorRegistry.aggregate([...metrics]).getMetricsAsArray() as unknown as Metric[]
