// Owns a list of the most frequent clients, versions, addresses or the like, each with a bar as long as its share.
import { breakdown } from './breakdown.js'
import { el } from './dom.js'
import { countText } from './format.js'
import type { ListedSession } from './sessions.js'
import { texts } from './texts.js'

/** How many are listed. Chosen: more than people compare. */
const MAX_SHOWN = 12

/** What is counted, and what happens when one is chosen. */
export interface BreakdownOptions {
  title: string
  nameOf: (session: ListedSession) => string | null
  onChoose: (name: string) => void
}

/** A list in a box of its own. */
export class BreakdownList {
  readonly element: HTMLElement
  readonly #list = el('ol', { class: 'shares' })
  readonly #options: BreakdownOptions
  /** What is in the page, as JSON. */
  #shown = ''

  constructor(options: BreakdownOptions) {
    this.#options = options
    this.element = el('section', { class: 'breakdown' }, el('h3', {}, options.title), this.#list)
  }

  /** Counts these sessions. Without any that has a name, the list is hidden. */
  show(sessions: readonly ListedSession[]): void {
    const shares = breakdown(sessions, this.#options.nameOf)
    const shown = JSON.stringify(shares.slice(0, MAX_SHOWN))
    if (shown === this.#shown) return
    this.#shown = shown
    this.element.hidden = shares.length === 0
    const most = shares[0]?.count ?? 1
    const items = shares.slice(0, MAX_SHOWN).map(({ name, count, open }) => {
      const bar = el('span', { class: 'fill' })
      bar.style.width = `${(count / most) * 100}%`
      const title = texts.ofThemOpen(name, countText(count), countText(open))
      const button = el(
        'button',
        { type: 'button', title },
        el('span', { class: 'share-name' }, name),
        el('span', { class: 'number' }, countText(count)),
        el('span', { class: 'track' }, bar)
      )
      button.addEventListener('click', () => this.#options.onChoose(name))
      return el('li', {}, button)
    })
    const hidden = shares.length - items.length
    if (hidden > 0) items.push(el('li', { class: 'more' }, texts.andMore(countText(hidden))))
    this.#list.replaceChildren(...items)
  }
}
