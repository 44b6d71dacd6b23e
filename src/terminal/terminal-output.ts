// Owns what commands print: tables and lines for people, JSON for programs, and colours only on a terminal.
import { type Style, shownJson, styled } from './shown-values.js'
import { type Cell, type Column, COLUMN_GAP, layOut } from './text-table.js'

/** Prints to standard output; notes for people go to standard error. */
export class Output {
  /** What is printed is JSON. */
  readonly isJson: boolean
  readonly #stdout: NodeJS.WriteStream
  readonly #stderr: NodeJS.WriteStream

  constructor(isJson: boolean, { stdout, stderr }: Pick<NodeJS.Process, 'stdout' | 'stderr'> = process) {
    this.isJson = isJson
    this.#stdout = stdout
    this.#stderr = stderr
  }

  /** Standard output is a terminal. */
  get isTerminal(): boolean {
    return this.#stdout.isTTY
  }

  /** Of the terminal; undefined where it is none. */
  get size(): { columns: number; rows: number } | undefined {
    const { columns, rows } = this.#stdout
    return this.isTerminal && columns > 0 ? { columns, rows } : undefined
  }

  /** `text` in a style, where there is a terminal with colours (`NO_COLOR`, `TERM=dumb` and `FORCE_COLOR` are heeded). */
  styled(text: string, style: Style | undefined): string {
    return style !== undefined && this.isTerminal && this.#stdout.hasColors() ? styled(text, style) : text
  }

  line(text = ''): void {
    this.#stdout.write(`${text}\n`)
  }

  /** As it is, without a line's end. */
  raw(text: string): void {
    this.#stdout.write(text)
  }

  json(value: unknown): void {
    this.line(shownJson(value))
  }

  table<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): void {
    for (const line of layOut(columns, rows, this.size?.columns)) this.line(this.row(line))
  }

  /** What was asked for: a value for programs, or what it says for people. */
  result(value: unknown, text: string): void {
    if (this.isJson) this.json(value)
    else this.line(text)
  }

  /** Rows that were asked for: an array for programs, or a table for people. */
  results<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): void {
    if (this.isJson) this.json(rows)
    else this.table(columns, rows)
  }

  /** A line of a table. */
  row(cells: readonly Cell[]): string {
    return cells.map(({ text, style }) => this.styled(text, style)).join(COLUMN_GAP)
  }

  /** Something that is no part of what was asked for. */
  note(text: string): void {
    this.#stderr.write(`${text}\n`)
  }
}
