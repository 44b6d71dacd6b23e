// Owns how to declare a metric (`counter`, `gauge`, `HistogramMetric`), and the form in which metrics leave a process: plain
// data that can be sent to another thread or process. It is the form of prom-client, but histograms are compact: with one
// value for each bucket they would be a hundred times as large.

/** The labels of one value, by their names. */
export type Labels = Record<string, string>

/** A metric of one process with its values. */
export interface Metric {
  name: string
  help: string
  type: 'counter' | 'gauge' | 'histogram'
  /** How the figures of several processes become one. */
  aggregator: Aggregator
  values: Value[]
}

/** How prom-client makes one value of those of several processes. */
export type Aggregator = 'sum' | 'min' | 'max' | 'average' | 'first' | 'omit'

/** One value of a metric. */
export interface Value {
  value: number
  labels: Labels
  /** The name of the value where it differs from the metric's: `…_bucket`, `…_sum`, `…_count`. */
  metricName?: string
}

/** A histogram of one process, in the compact form. Times are in seconds. */
export interface HistogramMetric {
  name: string
  help: string
  /** Upper bounds, rising; the last bucket, without a bound, is not among them. */
  bounds: readonly number[]
  series: HistogramSeries[]
}

/** The observations of one combination of labels. */
export interface HistogramSeries {
  labels: Labels
  /** The number of observations in each bucket; there is one bucket more than there are bounds. */
  counts: readonly number[]
  sum: number
}

/** Leaves out empty labels: to Prometheus an empty label is the same as none. */
export const present = (labels: Labels): Labels =>
  Object.fromEntries(Object.entries(labels).filter(([, text]) => text !== ''))

/** A metric as it is sent to another thread or process. */
export type PortableMetric = Metric | HistogramMetric

/** A value with its labels. */
export const sample = (value: number, labels: Labels = {}): Value => ({ value, labels })

/** Declares a counter. `values`: the counts since the process started. */
export const counter = (name: string, help: string, values: number | Value[]): Metric => ({
  ...{ name, help, type: 'counter', aggregator: 'sum' },
  values: typeof values === 'number' ? [sample(values)] : values
})

/** Declares a gauge. `values`: the figures of this moment; undefined: there is none, or it is not known. */
export const gauge = (
  name: string,
  help: string,
  values: number | undefined | Value[],
  aggregator: Aggregator = 'sum'
): Metric => ({
  ...{ name, help, type: 'gauge', aggregator },
  values: typeof values === 'number' ? [sample(values)] : (values ?? [])
})

/** The form of prom-client and of Prometheus' text format, where each bucket also counts what is in the buckets below it. */
export function expanded(metric: PortableMetric): Metric {
  if (!('series' in metric)) return metric
  const { name, help, bounds, series } = metric
  const values = series.flatMap(({ labels, counts, sum }): Value[] => {
    let count = 0
    const buckets = counts.map((n, i): Value => {
      const le = i < bounds.length ? String(bounds[i]) : '+Inf'
      return { value: (count += n), labels: { ...labels, le }, metricName: `${name}_bucket` }
    })
    return [
      ...buckets,
      { value: sum, labels, metricName: `${name}_sum` },
      { value: count, labels, metricName: `${name}_count` }
    ]
  })
  return { name, help, type: 'histogram', aggregator: 'sum', values }
}
