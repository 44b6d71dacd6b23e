// Owns the chart: sessions open over time, and below on the same axis those opened (up) and closed (down).
import uPlot from 'uplot'
import { chartLook } from './chart-look.js'
import { el, setText } from './dom.js'
import { countText, durationText, minuteText } from './format.js'
import type { Series } from './series.js'
import { texts } from './texts.js'
import type { DayBefore } from './yesterday.js'

/** The chart's height in CSS pixels. Chosen. */
const HEIGHT = 280
/** The shortest range that can be selected. Chosen: it holds two points of the minute series. */
const MIN_SELECTION_S = 120

/** Called with what the reader does with the chart. */
export interface ChartHandlers {
  /** A part of the range was chosen, in epoch ms. */
  onSelect: (start: number, end: number) => void
  onZoomOut: () => void
}

/** How many sessions are open now, if the range ends now. `at`: epoch ms. */
export interface Now {
  at: number
  open: number
}

/** The chart, made when it first has something to show. */
export class Chart {
  readonly #host: HTMLElement
  readonly #readout: HTMLElement
  readonly #handlers: ChartHandlers
  #plot: uPlot | undefined
  #series: Series | undefined
  #now: Now | undefined
  #before: DayBefore | undefined

  constructor(host: HTMLElement, readout: HTMLElement, handlers: ChartHandlers) {
    this.#host = host
    this.#readout = readout
    this.#handlers = handlers
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(host)
    host.addEventListener('keydown', event => this.#onKey(event))
    host.addEventListener('dblclick', () => handlers.onZoomOut())
    host.addEventListener('blur', () => this.#point(undefined))
  }

  /** `range` in epoch ms. */
  show(
    series: Series,
    range: { start: number; end: number },
    now: Now | undefined,
    before: DayBefore | undefined
  ): void {
    this.#series = series
    this.#now = now
    this.#before = before
    this.#plot ??= this.#build()
    const plot = this.#plot
    plot.batch(() => {
      plot.setData(this.#columns(), false)
      plot.setScale('x', { min: range.start / 1_000, max: range.end / 1_000 })
    })
    this.#host.setAttribute('aria-valuemax', String(this.#last()))
    this.#showReadout(plot.cursor.idx)
  }

  /** Draws again, because the colours or the time zone changed. */
  repaint(): void {
    const scale = this.#plot?.scales['x']
    if (!this.#series || scale?.min == null || scale.max == null) return
    this.#plot?.destroy()
    this.#plot = undefined
    this.show(this.#series, { start: scale.min * 1_000, end: scale.max * 1_000 }, this.#now, this.#before)
  }

  #columns(): uPlot.AlignedData {
    const { times, open, peak, opened, closed, bucketMs } = this.#series!
    const [up, down] = [opened.map(bar), closed.map(number => bar(-number))]
    if (times.length === 0) return [times, open, peak, up, down, []]
    const before = times.map(time => this.#openBefore(time))
    // The line goes on from the last point to the end of its bucket, or to now.
    const end = Math.min(times.at(-1)! + bucketMs / 1_000, Date.now() / 1_000)
    const tail = this.#now ?? { at: end * 1_000, open: open.at(-1)! }
    return [
      [...times, tail.at / 1_000],
      [...open, tail.open],
      [...peak, null],
      [...up, null],
      [...down, null],
      [...before, this.#openBefore(tail.at / 1_000) ?? before.at(-1)!]
    ]
  }

  /** How many were open a day before; null where that is not known. `time`: epoch seconds. */
  #openBefore(time: number): number | null {
    return this.#before?.get(Math.floor(time / 60) * 60) ?? null
  }

  /** The index of the last point with figures of its own. */
  #last(): number {
    return Math.max(0, this.#series!.times.length - (this.#now ? 0 : 1))
  }

  #size(): { width: number; height: number } {
    return { width: Math.max(200, this.#host.clientWidth), height: HEIGHT }
  }

  #build(): uPlot {
    const options: uPlot.Options = {
      ...this.#size(),
      ...chartLook(this.#host),
      hooks: {
        setCursor: [plot => this.#showReadout(plot.cursor.idx)],
        setSelect: [
          plot => {
            const { left, width } = plot.select
            if (width < 4) return
            const [start, end] = [plot.posToVal(left, 'x'), plot.posToVal(left + width, 'x')]
            plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
            this.#select(start, end)
          }
        ]
      }
    }
    return new uPlot(options, this.#columns(), this.#host)
  }

  /** In epoch seconds. */
  #select(start: number, end: number): void {
    const middle = (start + end) / 2
    const half = Math.max(end - start, MIN_SELECTION_S) / 2
    this.#handlers.onSelect((middle - half) * 1_000, (middle + half) * 1_000)
  }

  #onKey(event: KeyboardEvent): void {
    const plot = this.#plot
    if (!plot) return
    const last = this.#last()
    const at = plot.cursor.idx ?? last + 1
    const target: Record<string, number> = {
      ArrowLeft: at - 1,
      ArrowRight: at + 1,
      PageUp: at - 10,
      PageDown: at + 10,
      Home: 0,
      End: last
    }
    const to = target[event.key]
    const { min, max } = plot.scales['x'] ?? {}
    if (to !== undefined) this.#point(Math.max(0, Math.min(to, last)))
    else if (event.key === '+' && min != null && max != null) {
      const middle = plot.data[0][Math.min(at, last)] ?? (min + max) / 2
      this.#select(middle - (max - min) / 6, middle + (max - min) / 6)
    } else if (event.key === '-' || event.key === 'Escape') this.#handlers.onZoomOut()
    else return
    event.preventDefault()
  }

  #point(index: number | undefined): void {
    const plot = this.#plot
    const time = index === undefined ? undefined : plot?.data[0][index]
    plot?.setCursor({ left: time === undefined ? -10 : plot.valToPos(time, 'x'), top: 10 })
  }

  #showReadout(index: number | null | undefined): void {
    const series = this.#series
    if (!series) return
    const at = index == null ? undefined : Math.min(index, this.#last())
    const time = at === undefined ? undefined : this.#plot?.data[0][at]
    if (at === undefined || time === undefined) {
      const hasBefore = this.#before !== undefined && this.#before.size > 0
      this.#readout.replaceChildren(
        el('span', { class: 'hint' }, texts.pointAtChart),
        ...(hasBefore ? [el('span', { class: 'part before' }, texts.faintLine)] : [])
      )
      this.#host.setAttribute('aria-valuetext', texts.nothingChosen)
      return
    }
    const isNow = at >= series.times.length
    const peak = series.peak[at]
    const before = this.#openBefore(time)
    const ofBefore = before === null ? [] : [['before', before] as const]
    const parts = isNow
      ? [['open', this.#now!.open] as const, ...ofBefore]
      : [
          ['open', series.open[at]!] as const,
          ['opened', series.opened[at]!] as const,
          ['closed', series.closed[at]!] as const,
          ...(peak == null ? [] : [['peak', peak] as const]),
          ...ofBefore
        ]
    const span = series.bucketMs > 60_000 ? ` + ${durationText(series.bucketMs).replace(/ 00 \S+$/, '')}` : ''
    const when = isNow ? texts.now : minuteText(time * 1_000) + span
    this.#readout.replaceChildren(
      el('b', {}, when),
      ...parts.map(([name, number]) => {
        const value = el('span', { class: `part ${name}` })
        setText(value, `${texts.chart[name]} ${countText(number)}`)
        return value
      })
    )
    this.#host.setAttribute('aria-valuenow', String(at))
    const spoken = parts.map(([name, number]) => `${texts.chart[name]} ${countText(number)}`).join(', ')
    this.#host.setAttribute('aria-valuetext', `${when}: ${spoken}`)
  }
}

/** No bar for zero. */
const bar = (number: number): number | null => (number === 0 ? null : number)
