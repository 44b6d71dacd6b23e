// Owns how the chart looks: its lines, bars, axes and scales, in the colours and the time zone of the page.
import uPlot from 'uplot'
import { countText, minuteOrDayText } from './format.js'
import { colourReader } from './theme.js'
import { isUtc } from './zone.js'

/** The parts of the chart's height that show opened and closed sessions, and the gap above them. Chosen. */
const EVENTS_SHARE = 0.26
const GAP_SHARE = 0.06

/** A moment as uPlot divides it into days and hours: in the zone of the page, or in UTC. `seconds`: of the epoch. */
export const shownDate = (seconds: number, inUtc = isUtc()): Date => {
  const date = new Date(seconds * 1_000)
  return inUtc ? uPlot.tzDate(date, 'UTC') : date
}

/** The axis of time, and one of numbers. `timeText`: how a moment reads, in epoch ms. */
export function axesFor(
  host: HTMLElement,
  timeText: (at: number) => string
): { base: uPlot.Axis; time: uPlot.Axis; count: uPlot.Axis } {
  const colour = colourReader(host)
  const base = { stroke: colour('--muted'), font: '11px system-ui, sans-serif', ticks: { show: false } }
  return {
    base,
    time: {
      ...base,
      size: 28,
      grid: { show: false },
      space: 70,
      values: (_plot, splits) => splits.map(split => timeText(split * 1_000))
    },
    count: {
      ...base,
      size: 46,
      space: 34,
      grid: { stroke: colour('--grid'), width: 1 },
      incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000],
      splits: (_plot, _axis, _min, max, step) =>
        Array.from({ length: Math.floor(max / step) + 1 }, (_, i) => i * step),
      values: (_plot, splits) => splits.map(countText)
    }
  }
}

/** The columns are those of `Chart`: open, peak, opened, closed, open a day before. */
export function chartLook(host: HTMLElement): Omit<uPlot.Options, 'width' | 'height'> {
  const colour = colourReader(host)
  const { stepped, bars } = uPlot.paths
  const step = stepped!({ align: 1 })
  const column = bars!({ align: 1, size: [0.8, 14, 1] })
  const { base, time, count } = axesFor(host, minuteOrDayText)
  const line = (label: string, stroke: string, more: Partial<uPlot.Series>): uPlot.Series => ({
    label,
    stroke,
    points: { show: false },
    ...more
  })
  return {
    padding: [10, 0, 0, 0],
    tzDate: seconds => shownDate(seconds),
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
      }),
      line('before', colour('--faint'), { scale: 'open', paths: step, width: 1.5 })
    ],
    axes: [
      time,
      { ...count, scale: 'open' },
      {
        ...base,
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
    ]
  }
}

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
