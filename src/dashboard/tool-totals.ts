// Owns what is made of the use of tools that the admin port lists by hour or day: a total for each tool, and a series over time.
import type { ToolUsageInfo } from '../admin/schemas/monitoring-responses.js'
import { DAY_MS, HOUR_MS } from './range.js'

/** How the admin port adds up. */
export const spans = ['hour', 'day', 'total'] as const
export type Span = (typeof spans)[number]

/** The longest range that is read by the hour unless the reader chooses. Chosen: its columns can be told apart on a phone. */
const MAX_BY_HOUR_MS = 2 * DAY_MS

/** A tool of an endpoint. */
export interface ToolReference {
  endpointId: string
  tool: string
}

/** How a tool was used in the whole range. Durations in ms. */
export interface ToolTotal extends ToolReference {
  calls: number
  errors: number
  durationSum: number
  durationMax: number
}

/** Columns of the same length, one item for each hour or day of the range. */
export interface ToolSeries {
  /** Epoch seconds, where each begins. */
  times: number[]
  of: readonly Omit<ToolTotal, keyof ToolReference>[]
  /** In ms. */
  spanMs: number
}

/** What a range of this length is read by, if the reader did not choose. */
export const spanFor = (lengthMs: number): Span => (lengthMs <= MAX_BY_HOUR_MS ? 'hour' : 'day')

/** Whether it is this one; undefined: whether it is any. */
export const isTool = (item: ToolReference, chosen: ToolReference | undefined): boolean =>
  chosen === undefined || (item.tool === chosen.tool && item.endpointId === chosen.endpointId)

/** A total for each tool of each endpoint. */
export function totalsOf(items: readonly ToolUsageInfo[]): ToolTotal[] {
  const totals = new Map<string, ToolTotal>()
  for (const item of items) {
    const { endpointId, tool } = item
    const key = JSON.stringify([endpointId, tool])
    let total = totals.get(key)
    if (!total) totals.set(key, (total = { endpointId, tool, ...nothing() }))
    add(total, item)
  }
  return [...totals.values()]
}

/** The items added up by time; hours or days without a call are in it. `range` in epoch ms. */
export function seriesOf(
  items: readonly ToolUsageInfo[],
  range: { start: number; end: number },
  span: 'hour' | 'day'
): ToolSeries {
  const spanMs = span === 'hour' ? HOUR_MS : DAY_MS
  const first = Math.floor(range.start / spanMs)
  const of = Array.from({ length: Math.floor(range.end / spanMs) - first + 1 }, nothing)
  for (const item of items) {
    const sum = of[Math.floor(Date.parse(item.time ?? '') / spanMs) - first]
    if (sum) add(sum, item)
  }
  return { times: of.map((_, i) => ((first + i) * spanMs) / 1_000), of, spanMs }
}

/** In ms; 0 without a call. */
export const meanOf = ({ calls, durationSum }: Pick<ToolTotal, 'calls' | 'durationSum'>): number =>
  calls === 0 ? 0 : durationSum / calls

const nothing = () => ({ calls: 0, errors: 0, durationSum: 0, durationMax: 0 })

function add(sum: ReturnType<typeof nothing>, item: ToolUsageInfo): void {
  sum.calls += item.calls
  sum.errors += item.errors
  sum.durationSum += item.durationSum
  sum.durationMax = Math.max(sum.durationMax, item.durationMax)
}
