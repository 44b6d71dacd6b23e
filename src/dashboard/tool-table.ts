// Owns the table of tools.
import { el, setFlag } from './dom.js'
import { countText, latencyText, shareText } from './format.js'
import { texts } from './texts.js'
import { sortedTotals, type ToolColumn, toolColumns, type ToolSorting } from './tool-sorting.js'
import { isTool, meanOf, type ToolReference, type ToolTotal } from './tool-totals.js'

/** The most that are listed. Chosen: two and a half times the tools that are counted of an endpoint. */
const MAX_LISTED = 500

/** What the reader does with the table. */
export interface ToolTableHandlers {
  onSort: (column: ToolColumn) => void
  /** Looks at this tool alone, or at all again. */
  onChoose: (tool: ToolReference | undefined) => void
}

/** How the table looks. */
export interface ToolTableLook {
  sorting: ToolSorting
  chosen: ToolReference | undefined
  /** All tools are of one endpoint. */
  isOfOne: boolean
}

/** The table; it is hidden while it is empty. */
export class ToolTable {
  readonly #table: HTMLElement
  readonly #handlers: ToolTableHandlers
  readonly #heads = new Map<ToolColumn, HTMLElement>()
  readonly #body = el('tbody')
  /** What is in the page, as JSON. */
  #shown = ''

  constructor(table: HTMLElement, handlers: ToolTableHandlers) {
    this.#table = table
    this.#handlers = handlers
    for (const column of toolColumns) {
      const button = el('button', { type: 'button', class: 'sort' }, texts.toolColumns[column])
      button.addEventListener('click', () => handlers.onSort(column))
      this.#heads.set(column, el('th', { scope: 'col', class: classOf(column) }, button))
    }
    table.append(el('thead', {}, el('tr', {}, ...this.#heads.values())), this.#body)
  }

  show(totals: readonly ToolTotal[], look: ToolTableLook): void {
    const shown = JSON.stringify([totals, look])
    if (shown === this.#shown) return
    this.#shown = shown
    const { sorting, chosen, isOfOne } = look
    this.#table.hidden = totals.length === 0
    setFlag(this.#table, 'of-one', isOfOne)
    for (const [column, head] of this.#heads)
      if (column === sorting.column)
        head.setAttribute('aria-sort', sorting.isDescending ? 'descending' : 'ascending')
      else head.removeAttribute('aria-sort')
    const most = Math.max(1, ...totals.map(({ calls }) => calls))
    const focused = this.#body.querySelector<HTMLElement>('button:focus')?.dataset['key']
    const rows = sortedTotals(totals, sorting)
      .slice(0, MAX_LISTED)
      .map(total => this.#row(total, most, chosen))
    if (totals.length > MAX_LISTED) {
      const more = texts.andMore(countText(totals.length - MAX_LISTED))
      rows.push(el('tr', {}, el('td', { colspan: String(toolColumns.length) }, more)))
    }
    this.#body.replaceChildren(...rows)
    if (focused === undefined) return
    const again = [...this.#body.querySelectorAll('button')].find(({ dataset }) => dataset['key'] === focused)
    again?.focus({ preventScroll: true })
  }

  #row(total: ToolTotal, most: number, chosen: ToolReference | undefined): HTMLTableRowElement {
    const { endpointId, tool, calls, errors, durationMax } = total
    const isChosen = chosen !== undefined && isTool(total, chosen)
    const button = el(
      'button',
      {
        type: 'button',
        class: 'link',
        'aria-pressed': String(isChosen),
        'data-key': `${endpointId}\n${tool}`
      },
      tool
    )
    button.addEventListener('click', () =>
      this.#handlers.onChoose(isChosen ? undefined : { endpointId, tool })
    )
    const bar = el('span', { class: 'fill' })
    bar.style.width = `${(calls / most) * 100}%`
    const cell = (column: ToolColumn, ...content: (Node | string)[]): HTMLElement =>
      el('td', { class: classOf(column) }, ...content)
    const row = el(
      'tr',
      {},
      el(
        'th',
        { scope: 'row', class: classOf('tool') },
        button,
        el('span', { class: 'only-narrow' }, endpointId)
      ),
      cell('endpoint', endpointId),
      cell('calls', countText(calls), el('span', { class: 'track' }, bar)),
      cell('errors', countText(errors)),
      cell('errorShare', errors === 0 ? '–' : shareText(errors / calls)),
      cell('mean', latencyText(meanOf(total))),
      cell('max', latencyText(durationMax))
    )
    setFlag(row, 'chosen', isChosen)
    setFlag(row, 'failed', errors > 0)
    return row
  }
}

const classOf = (column: ToolColumn): string =>
  column === 'tool' || column === 'endpoint' ? column : `${column} number`
