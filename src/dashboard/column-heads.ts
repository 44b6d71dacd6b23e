// Owns the heads of the columns: they say how the list is sorted, and sort it otherwise.
import { el } from './dom.js'
import { columnNames, type ColumnName, type Sorting } from './sorting.js'
import { texts } from './texts.js'

/** The row of heads. */
export class ColumnHeads {
  readonly #heads = new Map<ColumnName, HTMLElement>()

  constructor(row: HTMLElement, onSort: (column: ColumnName) => void) {
    for (const name of columnNames) {
      const button = el('button', { type: 'button', class: 'sort', tabindex: '-1' }, texts.columns[name])
      button.addEventListener('click', () => onSort(name))
      const head = el('span', { role: 'columnheader', class: name }, button)
      this.#heads.set(name, head)
      row.append(head)
    }
  }

  /** Shows how the list is sorted. */
  show({ column, isDescending }: Sorting): void {
    for (const [name, head] of this.#heads) {
      if (name === column) head.setAttribute('aria-sort', isDescending ? 'descending' : 'ascending')
      else head.removeAttribute('aria-sort')
    }
  }
}
