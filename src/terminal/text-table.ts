// Owns the layout of tables of text: columns as wide as they need, and no wider together than the terminal.
import { cut, shown, type Style, widthOf } from './shown-values.js'

/** A column of a table of `Row`s. */
export interface Column<Row> {
  title: string
  of: (row: Row) => string | number | null
  align?: 'right'
  /** The first to be left out where the terminal is narrow. */
  optional?: true
  /** Never cut: people copy it. */
  whole?: true
  /** Which part gives way where it is cut: its end, unless that is what tells the rows apart. */
  cutAt?: 'beginning'
  style?: (row: Row) => Style | undefined
}

/** A cell as it is printed, padded. */
export interface Cell {
  text: string
  style: Style | undefined
}

/** No column that may be cut gets narrower than this. Chosen: enough to tell names apart. */
const MIN_WIDTH = 10
const GAP = 2

/** The lines of a table, its titles first. `width`: of the terminal; undefined: nothing is cut. */
export function layOut<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width: number | undefined
): Cell[][] {
  const all = columns.map(column => {
    const texts = [column.title, ...rows.map(row => shown(String(column.of(row) ?? '-')))]
    return { column, texts, width: texts.reduce((most, text) => Math.max(most, widthOf(text)), 0) }
  })
  const fitting = width === undefined ? all : fit(all, width)
  return ['', ...rows].map((row, line) =>
    fitting.map(({ column, texts, width }, i) => {
      const text = cut(texts[line]!, width, column.cutAt)
      const padding = ' '.repeat(width - widthOf(text))
      const isLast = i === fitting.length - 1
      const padded = column.align === 'right' ? padding + text : isLast ? text : text + padding
      return { text: padded, style: line === 0 ? 'bold' : column.style?.(row as Row) }
    })
  )
}

interface Measured<Row> {
  column: Column<Row>
  texts: string[]
  width: number
}

/** Cuts the widest columns; where that does not do, leaves optional ones out, the last of them first. */
function fit<Row>(all: readonly Measured<Row>[], width: number): Measured<Row>[] {
  const columns = all.map(column => ({ ...column }))
  const tooMuch = (): number =>
    columns.reduce((sum, column) => sum + column.width + GAP, -GAP) - Math.max(width, 1)
  const least = ({ column, width }: Measured<Row>): number =>
    column.whole ? width : Math.min(width, MIN_WIDTH)
  const saved = (): number => columns.reduce((sum, column) => sum + column.width - least(column), 0)
  while (tooMuch() > saved()) {
    const last = columns.findLastIndex(({ column }) => column.optional)
    if (last === -1) break
    columns.splice(last, 1)
  }
  for (let over = tooMuch(); over > 0; over--) {
    const cuttable = columns.filter(column => column.width > least(column))
    if (cuttable.length === 0) break
    cuttable.reduce((widest, column) => (column.width > widest.width ? column : widest)).width--
  }
  return columns
}

/** Between the cells of a line. */
export const COLUMN_GAP = ' '.repeat(GAP)
