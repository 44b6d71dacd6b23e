// Owns how the metrics of one process or several become one text for Prometheus.
import { AggregatorRegistry, Registry } from 'prom-client'
import { BoundedLabels, MAX_ENDPOINTS } from './labels.js'
import { expanded, type Metric, type PortableMetric, type Value } from './metric.js'

/** The media type of the text. */
export const CONTENT_TYPE = Registry.PROMETHEUS_CONTENT_TYPE

/** The metrics of one process. */
export interface Snapshot {
  /** Identifies the process: each start gets a new value. */
  process: string
  metrics: PortableMetric[]
}

/** The slot of a process: its last metrics, and the counts of the processes that died in this slot before it. */
interface Place {
  process: string
  last: Metric[]
  past: Metric[]
}

/**
 * Adds up the metrics of all processes. A sum never falls while this object lives: Prometheus takes a fall for a restart, and
 * would count everything again. So the counts of a process that died or does not respond stay at their last known values.
 */
export class Exposition {
  readonly #places: (Place | undefined)[] = []
  /** The endpoints that have a label of their own, whichever process reports them. */
  readonly endpoints = new BoundedLabels(MAX_ENDPOINTS)

  /** `snapshots`: one for each slot, in order; undefined for a process that does not respond. `own`: what only the caller has. */
  async text(snapshots: readonly (Snapshot | undefined)[], own: readonly Metric[]): Promise<string> {
    return await this.#added(snapshots, own).metrics()
  }

  /** The same as data. */
  metrics(snapshots: readonly (Snapshot | undefined)[], own: readonly Metric[]): Metric[] {
    return metricsIn(this.#added(snapshots, own))
  }

  #added(snapshots: readonly (Snapshot | undefined)[], own: readonly Metric[]): Registry {
    const reported = snapshots.flatMap((snapshot, place) => this.#reported(snapshot, place))
    const bounded = [...reported, [...own]].map(metrics => metrics.map(metric => this.#bounded(metric)))
    return AggregatorRegistry.aggregate(bounded)
  }

  /** The last metrics of the process in a slot, and the counts of those before it. */
  #reported(snapshot: Snapshot | undefined, at: number): Metric[][] {
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

const sum = (metrics: readonly Metric[][]): Metric[] => metricsIn(AggregatorRegistry.aggregate([...metrics]))

/** The cast is right: `aggregate` keeps the plain data that it is given, though prom-client's types do not say so. */
const metricsIn = (added: Registry): Metric[] => added.getMetricsAsArray() as unknown as Metric[]
