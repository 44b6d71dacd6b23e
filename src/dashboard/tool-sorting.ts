// Owns by what the table of tools is sorted, and how.
import { type SortedBy, sortedByChosen } from './sorting.js'
import { meanOf, type ToolTotal } from './tool-totals.js'

/** What a total is sorted by in each column. */
const keys = {
  tool: total => total.tool.toLowerCase(),
  endpoint: total => total.endpointId.toLowerCase(),
  calls: total => total.calls,
  errors: total => total.errors,
  errorShare: total => total.errors / Math.max(1, total.calls),
  mean: meanOf,
  max: total => total.durationMax
} satisfies Record<string, (total: ToolTotal) => string | number>

/** A column of the table of tools. */
export type ToolColumn = keyof typeof keys
export const toolColumns = Object.keys(keys) as ToolColumn[]

export type ToolSorting = SortedBy<ToolColumn>

/** The most calls first. */
export const defaultToolSorting: ToolSorting = { column: 'calls', isDescending: true }

const largestFirst = new Set<ToolColumn>(['calls', 'errors', 'errorShare', 'mean', 'max'])

/** After a column of the table was chosen. */
export const chooseToolColumn = (sorting: ToolSorting, chosen: ToolColumn): ToolSorting =>
  sortedByChosen(sorting, chosen, largestFirst)

/** Those that are equal: the most calls first, then by name. */
export function sortedTotals(
  totals: readonly ToolTotal[],
  { column, isDescending }: ToolSorting
): ToolTotal[] {
  const keyOf = keys[column]
  const sign = isDescending ? -1 : 1
  const name = ({ endpointId, tool }: ToolTotal): string => `${tool}\n${endpointId}`
  return [...totals].sort((a, b) => {
    const [left, right] = [keyOf(a), keyOf(b)]
    if (left !== right) return left < right ? -sign : sign
    return b.calls - a.calls || (name(a) < name(b) ? -1 : 1)
  })
}
