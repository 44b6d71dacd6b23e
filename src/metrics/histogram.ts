// Owns histograms that are cheap to observe: prom-client's take a microsecond, for labels that are hashed each time.
import type { Labels, HistogramSeries } from './metric.js'

/** Upper bounds of buckets in seconds: those of the OpenTelemetry conventions for MCP. */
export const OPERATION_BOUNDS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300]

/** A histogram of one combination of labels. `bounds`: the upper bounds of its buckets, rising. */
export class Histogram {
  readonly #bounds: readonly number[]
  readonly #counts: number[]
  #sum = 0

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = Array<number>(bounds.length + 1).fill(0)
  }

  /** Counts one observation. */
  observe(value: number): void {
    const bounds = this.#bounds
    let i = 0
    while (i < bounds.length && value > bounds[i]!) i++
    this.#counts[i]!++
    this.#sum += value
  }

  /** What was observed so far, as it is exposed with these labels. */
  series(labels: Labels): HistogramSeries {
    return { labels, counts: [...this.#counts], sum: this.#sum }
  }
}
