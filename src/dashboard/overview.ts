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
import type { RangeChoice, ShownRange } from './range.js'
import { bucketFor, type Series, summarize, toSeries } from './series.js'
import { texts } from './texts.js'
import { type DayBefore, dayBefore, toDayBefore } from './yesterday.js'

/** How often the series is read at most. Chosen: it costs the store more than the other requests. */
const SERIES_MS = 5_000
/** How often the day before is read at most: it does not change. Chosen: below the minutes that are read ahead. */
const DAY_BEFORE_MS = 120_000

/** What the overview needs. */
export interface OverviewOptions {
  api: Api
  /** The range that is shown now. */
  range: () => ShownRange
  onChoose: (choice: RangeChoice) => void
  onZoomOut: () => void
}

/** The figures and the chart. */
export class Overview {
  readonly #options: OverviewOptions
  readonly #chart: Chart
  readonly #pace = new Pace(SERIES_MS, () => this.#ask())
  readonly #beforePace = new Pace(DAY_BEFORE_MS, () => this.#askDayBefore())
  readonly #peaks = new PeakMemory()
  readonly part = new Part(html('overview'), html('figures'))
  #endpointId: string | undefined
  #active: number | undefined
  #series: Series | undefined
  #before: DayBefore | undefined
  /** The range that was read last, as it was chosen. */
  #asked: string | undefined

  constructor(options: OverviewOptions) {
    this.#options = options
    this.#chart = new Chart(html('chart'), html('readout'), {
      onSelect: (start, end) => options.onChoose({ start, end: Math.min(end, Date.now()) }),
      onZoomOut: options.onZoomOut
    })
  }

  /** Reads the figures of this endpoint, or of all. */
  read(endpointId: string | undefined): void {
    if (endpointId !== this.#endpointId) this.#leave()
    this.#endpointId = endpointId
    this.#asked = this.#chosen
    this.#pace.now()
    this.#before = undefined
    this.#beforePace.now()
  }

  /** The reader may look at another range. */
  look(): void {
    if (this.#chosen !== this.#asked) this.read(this.#endpointId)
  }

  get #chosen(): string {
    const { start, end, isLive } = this.#options.range()
    return isLive ? `${end - start}` : `${start} ${end}`
  }

  /** What is known of one endpoint is not shown for another. */
  #leave(): void {
    this.#peaks.clear()
    this.#active = undefined
    this.#series = undefined
    for (const figure of html('figures').querySelectorAll('dd')) setText(figure, '–')
  }

  /** A state came over the live connection. */
  stats(stats: ConnectionStats): void {
    this.#active = stats.activeConnections
    this.#peaks.note(Date.now(), stats.activeConnections)
    setText(html('open-now'), countText(stats.activeConnections))
    setText(html('people-now'), countText(stats.activePrincipals))
    setText(html('conversations-now'), countText(stats.activeConversations))
    setText(html('ever'), countText(stats.totalConnections))
    document.title = texts.title(countText(stats.activeConnections))
    this.#showPeak()
  }

  /** Something opened or ended. */
  changed(): void {
    this.#pace.soon()
  }

  /** The colours or the time zone changed. */
  repaint(): void {
    this.#chart.repaint()
  }

  /** A second has passed. */
  tick(): void {
    if (this.#options.range().isLive) this.#show()
    // A new minute begins.
    if (new Date().getSeconds() !== 1) return
    this.#pace.soon()
    this.#beforePace.soon()
  }

  #get(range: { start: number; end: number }): Promise<MinutePoint[]> {
    const { start, end } = range
    const asked = { start_time: Math.floor(start), end_time: Math.floor(end), endpoint_id: this.#endpointId }
    return this.#options.api.get<MinutePoint[]>('/api/connections/time-series', asked)
  }

  async #ask(): Promise<void> {
    if (document.hidden) return
    const range = this.#options.range()
    try {
      const points = await this.part.reading(() => this.#get(range))
      this.#series = toSeries(points, bucketFor(range.end - range.start))
    } catch (error) {
      // Another range is needed: to ask again for this one would not help.
      if (!(error instanceof ApiError && error.status < 500)) throw error
      this.#series = undefined
    }
    this.#show()
  }

  async #askDayBefore(): Promise<void> {
    const range = dayBefore(this.#options.range())
    if (document.hidden || !range) return
    this.#before = toDayBefore(await this.#get(range))
    this.#show()
  }

  #show(): void {
    const series = this.#series
    html('chart').hidden = !series
    if (!series) return
    const { opened, closed } = summarize(series)
    const { isLive, ...range } = this.#options.range()
    const now = isLive && this.#active !== undefined ? { at: range.end, open: this.#active } : undefined
    setText(html('opened'), countText(opened))
    setText(html('closed'), countText(closed))
    this.#showPeak()
    this.#chart.show(series, range, now, this.#before)
  }

  /** Never below what this page saw within the range. */
  #showPeak(): void {
    if (!this.#series) return
    const { peak, peakIsExact } = summarize(this.#series)
    const { start, end } = this.#options.range()
    setText(html('peak'), countText(Math.max(peak, this.#peaks.highest(start, end))))
    setText(html('peak-label'), peakIsExact ? texts.peak : texts.peakByMinute)
  }
}
