// Owns the form above the list of sessions.
import { byId } from './dom.js'
import { type Filters, filtersOf } from './filters.js'

/** How long to wait for the next letter before the list is filtered. Chosen: longer than people pause between two letters. */
const TYPING_MS = 150

/** The filters that the reader chose. */
export class FilterForm {
  readonly #form = byId('filters', HTMLFormElement)

  constructor(onChange: () => void) {
    let typing: ReturnType<typeof setTimeout> | undefined
    this.#form.addEventListener('submit', event => event.preventDefault())
    this.#form.addEventListener('input', () => {
      clearTimeout(typing)
      typing = setTimeout(onChange, TYPING_MS)
    })
  }

  /** The filters as the form has them now. */
  get filters(): Filters {
    return filtersOf(new FormData(this.#form))
  }
}
