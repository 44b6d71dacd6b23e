// Owns the table of the benchmarks: a column for each peer, a row for each figure.

export const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

type Line = { section: string } | { label: string; cells: ReadonlyMap<string, string> }

export class Report {
  readonly #columns: readonly string[]
  readonly #lines: Line[] = []
  readonly #notes: string[] = []

  constructor(columns: readonly string[]) {
    this.#columns = columns
  }

  section(title: string): void {
    this.#lines.push({ section: title })
    console.error(`measuring: ${title}`)
  }

  /** Values by column; `digits` behind the point. */
  row(label: string, values: ReadonlyMap<string, number>, digits = 0): void {
    const cells = [...values].map(([column, value]) => [column, value.toFixed(digits)] as const)
    this.#lines.push({ label, cells: new Map(cells) })
  }

  /** Figures with two quantiles each, as `p50 / p95`. */
  pairs(label: string, values: ReadonlyMap<string, readonly [number, number]>, digits = 0): void {
    const cells = [...values].map(
      ([column, pair]) => [column, pair.map(value => value.toFixed(digits)).join(' / ')] as const
    )
    this.#lines.push({ label, cells: new Map(cells) })
  }

  /** `values` in parts of what `reference` has. */
  ratio(label: string, values: ReadonlyMap<string, number>, reference: string): void {
    const whole = values.get(reference)
    if (whole === undefined) return
    this.row(label, new Map([...values].map(([column, value]) => [column, value / whole])), 2)
  }

  note(text: string): void {
    this.#notes.push(text)
  }

  /** As Markdown. */
  toString(): string {
    const rows = [['', ...this.#columns], [], ...this.#lines.map(line => this.#cells(line))]
    const widths = rows[0]!.map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
    const text = rows.map((row, at) =>
      at === 1
        ? `|${widths.map((width, column) => '-'.repeat(width + 1) + (column === 0 ? '-' : ':')).join('|')}|`
        : `| ${widths.map((width, column) => pad(row[column] ?? '', width, column)).join(' | ')} |`
    )
    return [...text, '', ...this.#notes].join('\n')
  }

  #cells(line: Line): string[] {
    if ('section' in line) return [`**${line.section}**`]
    return [line.label, ...this.#columns.map(column => line.cells.get(column) ?? '')]
  }
}

const pad = (text: string, width: number, column: number): string =>
  column === 0 ? text.padEnd(width) : text.padStart(width)
