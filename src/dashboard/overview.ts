// Owns the figures and the chart: how many sessions are open, and what happened in the range that is shown.
import type { ConnectionStats } from '../admin/schemas/monitoring-responses.js'
import type { MinutePoint } from '../admin/schemas/query-responses.js'
import { type Api, ApiError } from './api.js'
import { Chart } from './chart.js'
import { html, setText } from './dom.js'
import { countText } from './format.js'
import { Pace } from './pace.js'
import { Part } from './part.js'
import { PeakMemory } from './peak-memory.js'
import { RangePicker } from './range-picker.js'
import { bucketFor, type Series, summarize, toSeries } from './series.js'
import { texts } from './texts.js'

/** How often the series is read at most. Chosen: it costs the store more than the other requests. */
const SERIES_MS = 5_000

/** The figures, the chart and the choice of the range. */
export class Overview {
  readonly #api: Api
  readonly range: RangePicker
  readonly #chart: Chart
  readonly #pace = new Pace(SERIES_MS, () => this.#ask())
  readonly #peaks = new PeakMemory()
  readonly part = new Part(html('overview'), html('overview-head'))
  #endpointId: string | undefined
  #active: number | undefined
  #series: Series | undefined

  constructor(api: Api, onRange: () => void) {
    this.#api = api
    this.range = new RangePicker(() => {
      this.#pace.now()
      onRange()
    })
    this.#chart = new Chart(html('chart'), html('readout'), {
      onSelect: (start, end) => this.range.choose({ start, end: Math.min(end, Date.now()) }),
      onZoomOut: () => this.range.choose(undefined)
    })
  }

  /** Reads the figures of this endpoint, or of all. */
  read(endpointId: string | undefined): void {
    if (endpointId !== this.#endpointId) this.#leave()
    this.#endpointId = endpointId
    this.#pace.now()
  }

  /** What is known of one endpoint is not shown for another. */
  #leave(): void {
    this.#peaks.clear()
    this.#active = undefined
    this.#series = undefined
    for (const figure of ['open-now', 'ever', 'opened', 'closed', 'peak']) setText(html(figure), '–')
  }

  /** A state came over the live connection. */
  stats({ activeConnections, totalConnections }: ConnectionStats): void {
    this.#active = activeConnections
    this.#peaks.note(Date.now(), activeConnections)
    setText(html('open-now'), countText(activeConnections))
    setText(html('ever'), countText(totalConnections))
    document.title = texts.title(countText(activeConnections))
    this.#showPeak()
  }

  /** Something opened or ended. */
  changed(): void {
    this.#pace.soon()
  }

  /** The colours changed. */
  repaint(): void {
    this.#chart.repaint()
  }

  /** A second has passed. */
  tick(): void {
    if (this.range.now.isLive) this.#show()
    // A new minute begins.
    if (new Date().getSeconds() === 1) this.#pace.soon()
  }

  async #ask(): Promise<void> {
    if (document.hidden) return
    const { start, end } = this.range.now
    const asked = { start_time: Math.floor(start), end_time: Math.floor(end), endpoint_id: this.#endpointId }
    try {
      const points = await this.part.reading(() =>
        this.#api.get<MinutePoint[]>('/api/connections/time-series', asked)
      )
      this.#series = toSeries(points, bucketFor(end - start))
    } catch (error) {
      // Another range is needed: to ask again for this one would not help.
      if (!(error instanceof ApiError && error.status < 500)) throw error
      this.#series = undefined
    }
    this.#show()
  }

  #show(): void {
    const series = this.#series
    html('chart').hidden = !series
    if (!series) return
    const { opened, closed } = summarize(series)
    const { isLive, ...range } = this.range.now
    const now = isLive && this.#active !== undefined ? { at: range.end, open: this.#active } : undefined
    setText(html('opened'), countText(opened))
    setText(html('closed'), countText(closed))
    this.#showPeak()
    this.#chart.show(series, range, now)
  }

  /** Never below what this page saw within the range. */
  #showPeak(): void {
    if (!this.#series) return
    const { peak, peakIsExact } = summarize(this.#series)
    const { start, end } = this.range.now
    setText(html('peak'), countText(Math.max(peak, this.#peaks.highest(start, end))))
    setText(html('peak-label'), peakIsExact ? texts.peak : texts.peakByMinute)
  }
}
