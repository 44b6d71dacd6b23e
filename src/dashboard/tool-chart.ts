// Owns the chart of the use of tools: a column of calls for each hour or day, with the errors among them.
import uPlot from 'uplot'
import { axesFor, shownDate } from './chart-look.js'
import { el } from './dom.js'
import { countText, latencyText, minuteOrDayText, minuteText, utcDayText } from './format.js'
import { DAY_MS } from './range.js'
import { texts } from './texts.js'
import { colourReader } from './theme.js'
import { meanOf, type ToolSeries } from './tool-totals.js'

/** The chart's height in CSS pixels. Chosen. */
const HEIGHT = 200
/** The widest column in CSS pixels, and how much of its hour or day it fills. Chosen. */
const MAX_COLUMN = 120
const COLUMN_SHARE = 0.8

/** The chart, made when it first has something to show. */
export class ToolChart {
  readonly #host: HTMLElement
  readonly #readout: HTMLElement
  #plot: uPlot | undefined
  #series: ToolSeries | undefined
  /** Which column the readout is about; -1: none. */
  #index = -1

  constructor(host: HTMLElement, readout: HTMLElement) {
    this.#host = host
    this.#readout = readout
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(host)
    host.addEventListener('keydown', event => this.#onKey(event))
    host.addEventListener('blur', () => this.#plot?.setCursor({ left: -10, top: 10 }))
  }

  show(series: ToolSeries): void {
    const isOther = series.spanMs !== this.#series?.spanMs
    this.#series = series
    this.#host.setAttribute('aria-valuemax', String(series.times.length - 1))
    if (isOther) this.repaint()
    const plot = this.#plot!
    const { times, of, spanMs } = series
    plot.batch(() => {
      plot.setData([times, of.map(({ calls }) => calls), of.map(({ errors }) => errors || null)], false)
      plot.setScale('x', { min: times[0]!, max: times.at(-1)! + spanMs / 1_000 })
    })
    this.#showReadout()
  }

  /** Draws again, because the colours or the time zone changed. */
  repaint(): void {
    const series = this.#series
    if (!series) return
    this.#plot?.destroy()
    this.#plot = this.#build(series.spanMs)
    this.show(series)
  }

  #size(): { width: number; height: number } {
    return { width: Math.max(200, this.#host.clientWidth), height: HEIGHT }
  }

  #build(spanMs: number): uPlot {
    const colour = colourReader(this.#host)
    const isByDay = spanMs === DAY_MS
    const { time, count } = axesFor(this.#host, isByDay ? utcDayText : minuteOrDayText)
    // No finer than the figures are.
    const steps = isByDay ? [1, 2, 4, 7, 14, 30, 90] : [1, 2, 3, 6, 12, 24, 48, 96, 168, 336]
    const paths = uPlot.paths.bars!({ align: 1, size: [COLUMN_SHARE, MAX_COLUMN, 1] })
    const columns = (label: string, fill: string): uPlot.Series => ({
      label,
      fill,
      paths,
      width: 0,
      scale: 'calls',
      points: { show: false }
    })
    const options: uPlot.Options = {
      ...this.#size(),
      padding: [10, 20, 0, 0],
      // The days of the admin port are those of UTC.
      tzDate: seconds => (isByDay ? shownDate(seconds, true) : shownDate(seconds)),
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
      scales: { x: { time: true }, calls: { range: (_plot, _min, max) => [0, Math.max(1, max) * 1.08] } },
      series: [{}, columns('calls', colour('--accent')), columns('errors', colour('--closed'))],
      axes: [
        { ...time, incrs: steps.map(number => (number * spanMs) / 1_000) },
        { ...count, scale: 'calls' }
      ],
      hooks: { setCursor: [() => this.#showReadout()] }
    }
    return new uPlot(options, [[], [], []], this.#host)
  }

  #onKey(event: KeyboardEvent): void {
    const [series, plot] = [this.#series, this.#plot]
    if (!series || !plot) return
    const last = series.times.length - 1
    const at = this.#index < 0 ? last + 1 : this.#index
    const target: Record<string, number> = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last }
    const to = target[event.key]
    if (to === undefined) return
    event.preventDefault()
    const middle = series.times[Math.max(0, Math.min(to, last))]! + series.spanMs / 2_000
    plot.setCursor({ left: plot.valToPos(middle, 'x'), top: 10 })
  }

  /** Says what the column below the pointer is. */
  #showReadout(): void {
    const { times, of, spanMs } = this.#series!
    const left = this.#plot!.cursor.left ?? -1
    // A column stands right of the moment at which its hour or day begins.
    const pointed = left < 0 ? undefined : this.#plot!.posToVal(left, 'x') * 1_000
    const index = pointed === undefined ? -1 : times.findLastIndex(time => time * 1_000 <= pointed)
    const item = of[index]
    this.#index = item ? index : -1
    const at = (times[index] ?? 0) * 1_000
    const part = (name: string, text: string): HTMLElement => el('span', { class: `part ${name}` }, text)
    const parts = item
      ? [
          el('b', {}, spanMs === DAY_MS ? `${utcDayText(at)} (UTC)` : minuteText(at)),
          part('calls', texts.calls(countText(item.calls))),
          part('closed', texts.errors(countText(item.errors))),
          ...(item.calls === 0
            ? []
            : [part('', texts.durations(latencyText(meanOf(item)), latencyText(item.durationMax)))])
        ]
      : [part('calls', texts.toolColumns.calls), part('closed', texts.toolColumns.errors)]
    this.#readout.replaceChildren(...parts)
    this.#host.setAttribute('aria-valuenow', String(Math.max(0, index)))
    const spoken = parts.map(({ textContent }) => textContent).join(', ')
    this.#host.setAttribute('aria-valuetext', item ? spoken : texts.nothingChosen)
  }
}
