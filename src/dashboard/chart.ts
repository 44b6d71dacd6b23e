// Owns the chart: sessions open over time, and below on the same axis those opened (up) and closed (down).
import uPlot from 'uplot'
import { el, setText } from './dom.js'
import { countText, durationText, minuteText, minuteOrDayText } from './format.js'
import type { Series } from './series.js'
import { texts } from './texts.js'
import { colourReader } from './theme.js'

/** The chart's height in CSS pixels. Chosen. */
const HEIGHT = 280
/** The parts of the chart's height that show opened and closed sessions, and the gap above them. Chosen. */
const EVENTS_SHARE = 0.26
const GAP_SHARE = 0.06
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
  show(series: Series, range: { start: number; end: number }, now: Now | undefined): void {
    this.#series = series
    this.#now = now
    this.#plot ??= this.#build()
    const plot = this.#plot
    plot.batch(() => {
      plot.setData(this.#columns(), false)
      plot.setScale('x', { min: range.start / 1_000, max: range.end / 1_000 })
    })
    this.#host.setAttribute('aria-valuemax', String(this.#last()))
    this.#showReadout(plot.cursor.idx)
  }

  /** Draws again, because the colours changed. */
  repaint(): void {
    const scale = this.#plot?.scales['x']
    if (!this.#series || scale?.min == null || scale.max == null) return
    this.#plot?.destroy()
    this.#plot = undefined
    this.show(this.#series, { start: scale.min * 1_000, end: scale.max * 1_000 }, this.#now)
  }

  #columns(): uPlot.AlignedData {
    const { times, open, peak, opened, closed, bucketMs } = this.#series!
    const [up, down] = [opened.map(bar), closed.map(number => bar(-number))]
    if (times.length === 0) return [times, open, peak, up, down]
    // The line goes on from the last point to the end of its bucket, or to now.
    const end = Math.min(times.at(-1)! + bucketMs / 1_000, Date.now() / 1_000)
    const tail = this.#now ?? { at: end * 1_000, open: open.at(-1)! }
    return [
      [...times, tail.at / 1_000],
      [...open, tail.open],
      [...peak, null],
      [...up, null],
      [...down, null]
    ]
  }

  /** The index of the last point with figures of its own. */
  #last(): number {
    return Math.max(0, this.#series!.times.length - (this.#now ? 0 : 1))
  }

  #size(): { width: number; height: number } {
    return { width: Math.max(200, this.#host.clientWidth), height: HEIGHT }
  }

  #build(): uPlot {
    const colour = colourReader(this.#host)
    const { stepped, bars } = uPlot.paths
    const step = stepped!({ align: 1 })
    const column = bars!({ align: 1, size: [0.8, 14, 1] })
    const ink = colour('--muted')
    const grid = { stroke: colour('--grid'), width: 1 }
    const axis = { stroke: ink, font: '11px system-ui, sans-serif', ticks: { show: false } }
    const line = (label: string, stroke: string, more: Partial<uPlot.Series>): uPlot.Series => ({
      label,
      stroke,
      points: { show: false },
      ...more
    })
    const options: uPlot.Options = {
      ...this.#size(),
      padding: [10, 0, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: true, y: false, setScale: false }, points: { size: 7 } },
      scales: {
        x: { time: true },
        open: { range: (_plot, _min, max) => above(Math.max(max, 1)) },
        events: { range: (plot, min, max) => below(plot, min, max) }
      },
      series: [
        {},
        line('open', colour('--accent'), {
          scale: 'open',
          paths: step,
          width: 2,
          fill: colour('--accent-wash'),
          fillTo: 0
        }),
        line('peak', colour('--accent'), {
          scale: 'open',
          paths: step,
          width: 1,
          dash: [2, 3],
          spanGaps: false
        }),
        line('opened', colour('--opened'), {
          scale: 'events',
          paths: column,
          fill: colour('--opened'),
          width: 0,
          fillTo: 0
        }),
        line('closed', colour('--closed'), {
          scale: 'events',
          paths: column,
          fill: colour('--closed'),
          width: 0,
          fillTo: 0
        })
      ],
      axes: [
        {
          ...axis,
          size: 28,
          grid: { show: false },
          space: 70,
          values: (_plot, splits) => splits.map(split => minuteOrDayText(split * 1_000))
        },
        {
          ...axis,
          scale: 'open',
          size: 46,
          space: 34,
          grid,
          incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000],
          splits: (_plot, _axis, _min, max, step) =>
            Array.from({ length: Math.floor(max / step) + 1 }, (_, i) => i * step),
          values: (_plot, splits) => splits.map(countText)
        },
        {
          ...axis,
          scale: 'events',
          // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- right; the enum is in the types only
          side: 1,
          size: 40,
          grid: { show: false },
          splits: plot => {
            const most = -(plot.scales['events']?.min ?? -1)
            return [-most, 0, most]
          },
          values: (_plot, splits) => splits.map(split => countText(Math.abs(Math.round(split))))
        }
      ],
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
      this.#readout.replaceChildren(el('span', { class: 'hint' }, texts.pointAtChart))
      this.#host.setAttribute('aria-valuetext', texts.nothingChosen)
      return
    }
    const isNow = at >= series.times.length
    const peak = series.peak[at]
    const parts = isNow
      ? [['open', this.#now!.open] as const]
      : [
          ['open', series.open[at]!] as const,
          ['opened', series.opened[at]!] as const,
          ['closed', series.closed[at]!] as const,
          ...(peak == null ? [] : [['peak', peak] as const])
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

/** The range of the scale of open sessions: its zero lies above the part for events. */
const above = (most: number): [number, number] => {
  const share = EVENTS_SHARE + GAP_SHARE
  const top = most * 1.08
  return [(-top * share) / (1 - share), top]
}

/** The range of the scale of events: it has the lower part of the height, with zero in its middle. */
const below = (_plot: uPlot, min: number | null, max: number | null): [number, number] => {
  const most = Math.max(1, -(min ?? 0), max ?? 0)
  return [-most, -most + (2 * most) / EVENTS_SHARE]
}
