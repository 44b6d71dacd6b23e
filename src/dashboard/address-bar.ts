// Owns the address of the page: it says what the reader looks at, and leads back to what was looked at before.
import { noFilters } from './filters.js'
import { chooseColumn, type ColumnName } from './sorting.js'
import { fromFragment, type Subject, toFragment, type View } from './view.js'

/** The view of the page; changes of it go into the address and its history. */
export class AddressBar {
  readonly #onChange: (view: View) => void
  #view = fromFragment(location.hash)

  constructor(onChange: (view: View) => void) {
    this.#onChange = onChange
    // The page was reloaded before it was gone back: going back to it later leads to no session.
    if (stateOf(history).left !== undefined) history.replaceState({}, '')
    addEventListener('popstate', () => {
      const { left } = stateOf(history)
      if (left !== undefined) history.replaceState({ isDetail: true }, '', left)
      this.#view = fromFragment(location.hash)
      onChange(this.#view)
    })
  }

  /** What the reader looks at. */
  get view(): View {
    return this.#view
  }

  /** The reader looks at something else. `isSmall`: going back does not lead to what was before. */
  go(change: Partial<View>, isSmall = false): void {
    const before = addressOf(this.#view)
    this.#view = { ...this.#view, ...change }
    const after = addressOf(this.#view)
    // The page before lacks the session: closing its details leads back there.
    const state: PageState = { isDetail: change.session !== undefined }
    if (after !== before && isSmall) history.replaceState(history.state, '', after)
    else if (after !== before) history.pushState(state, '', after)
    this.#onChange(this.#view)
  }

  /** The reader looks at a principal or conversation; undefined: at all sessions again. */
  goTo(subject: Subject | undefined): void {
    const state = subject ? 'all' : 'open'
    this.go({ session: undefined, tab: 'sessions', filters: { ...noFilters, ...subject, state } })
  }

  /** Lists those sessions that have this text. */
  narrow(text: string): void {
    this.go({ tab: 'sessions', filters: { ...this.#view.filters, text } })
  }

  /** A column of the sessions was chosen. */
  sort(column: ColumnName): void {
    this.go({ sorting: chooseColumn(this.#view.sorting, column) })
  }

  /** The details of a session are closed. */
  closeSession(): void {
    if (this.#view.session === undefined) return
    const left = addressOf(this.#view)
    const { isDetail } = stateOf(history)
    this.go({ session: undefined }, true)
    if (isDetail !== true) return
    // Going back takes a while: until then, the address says what is shown. Going forward leads to the session again.
    history.replaceState({ left }, '')
    history.back()
  }
}

/** What is kept with a page of the history. */
interface PageState {
  /** The page before is the same without the details of the session. */
  isDetail?: boolean
  /** The address of that session, once its details are closed. */
  left?: string
}

const stateOf = ({ state }: History): PageState => (state as PageState | null) ?? {}

const addressOf = (view: View): string => {
  const fragment = toFragment(view)
  return fragment === '' ? location.pathname : `#${fragment}`
}
