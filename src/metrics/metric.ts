// Owns the form in which metrics leave a process: plain data that can be sent to another thread or process, as prom-client
// has it but for histograms, which travel compact (a value a bucket would be a hundred times as much).

export type Labels = Record<string, string>

export interface Metric {
  name: string
  help: string
  type: 'counter' | 'gauge' | 'histogram'
  /** How the figures of several processes become one. */
  aggregator: Aggregator
  values: Value[]
}

export type Aggregator = 'sum' | 'min' | 'max' | 'average' | 'first' | 'omit'

export interface Value {
  value: number
  labels: Labels
  /** Where it is not the metric's own: `…_bucket`, `…_sum`, `…_count`. */
  metricName?: string
}

export interface HistogramMetric {
  name: string
  help: string
  /** Upper bounds, rising; the last bucket, without a bound, is not among them. */
  bounds: readonly number[]
  series: HistogramSeries[]
}

export interface HistogramSeries {
  labels: Labels
  /** Observations a bucket, one more than there are bounds. */
  counts: readonly number[]
  sum: number
}

/** An empty label is as none. */
export const present = (labels: Labels): Labels =>
  Object.fromEntries(Object.entries(labels).filter(([, text]) => text !== ''))

export type PortableMetric = Metric | HistogramMetric

export const sample = (value: number, labels: Labels = {}): Value => ({ value, labels })

/** Counts since the process started. */
export const counter = (name: string, help: string, values: number | Value[]): Metric => ({
  ...{ name, help, type: 'counter', aggregator: 'sum' },
  values: typeof values === 'number' ? [sample(values)] : values
})

/** A figure of now; undefined: not known, or there is none. */
export const gauge = (
  name: string,
  help: string,
  values: number | undefined | Value[],
  aggregator: Aggregator = 'sum'
): Metric => ({
  ...{ name, help, type: 'gauge', aggregator },
  values: typeof values === 'number' ? [sample(values)] : (values ?? [])
})

/** As prom-client and the text format have it: each bucket holds those below it too. */
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
