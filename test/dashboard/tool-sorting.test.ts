// Owns the tests of how the table of tools is sorted.
import t from 'tap'
import {
  chooseToolColumn,
  defaultToolSorting,
  sortedTotals,
  toolColumns,
  type ToolSorting
} from '../../src/dashboard/tool-sorting.js'
import type { ToolTotal } from '../../src/dashboard/tool-totals.js'

const total = (tool: string, endpointId: string, calls: number, errors: number, sum: number, max: number) =>
  ({ tool, endpointId, calls, errors, durationSum: sum, durationMax: max }) satisfies ToolTotal

const totals = [
  total('a', 'mail', 10, 2, 100, 90),
  total('B', 'files', 20, 3, 100, 80),
  total('c', 'search', 5, 2, 100, 100)
]
const order = (sorting: ToolSorting) =>
  sortedTotals(totals, sorting)
    .map(({ tool }) => tool)
    .join('')

void t.test('each column sorts, both ways', t => {
  const orders = {
    tool: 'aBc',
    endpoint: 'Bac',
    calls: 'caB',
    errors: 'acB',
    errorShare: 'Bac',
    mean: 'Bac',
    max: 'Bac'
  }
  t.same(Object.keys(orders).sort(), [...toolColumns].sort())
  for (const column of toolColumns) t.equal(order({ column, isDescending: false }), orders[column], column)
  for (const column of ['calls', 'max', 'tool'] as const)
    t.equal(order({ column, isDescending: true }), Array.from(orders[column]).reverse().join(''), column)
  t.equal(order({ column: 'errors', isDescending: true }), 'Bac', 'equal ones: the most calls first')
  t.end()
})

void t.test('a column chosen again turns round; another one begins with what is looked for', t => {
  t.strictSame(chooseToolColumn(defaultToolSorting, 'calls'), { column: 'calls', isDescending: false })
  t.strictSame(chooseToolColumn(defaultToolSorting, 'max'), { column: 'max', isDescending: true })
  t.strictSame(chooseToolColumn(defaultToolSorting, 'tool'), { column: 'tool', isDescending: false })
  t.end()
})
