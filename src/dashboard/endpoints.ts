// Owns the list of endpoints: how many sessions each has now, and which one the page is filtered by.
import type { EndpointInfo } from '../admin/schemas/monitoring-responses.js'
import { el, setFlag, setText } from './dom.js'
import { countText } from './format.js'
import { texts } from './texts.js'

/** How many endpoints the page lists, the busiest ones. Chosen: browsers lay out so many buttons at once. */
const MAX_SHOWN = 200

interface View {
  button: HTMLButtonElement
  number: HTMLElement
  bar: HTMLElement
  tag: HTMLElement
}

/** The busiest endpoints, as buttons. */
export class Endpoints {
  readonly #list: HTMLElement
  readonly #more: HTMLElement
  readonly #onChoose: (endpointId: string | undefined) => void
  readonly #views = new Map<string, View>()
  #chosen: string | undefined

  constructor(list: HTMLElement, more: HTMLElement, onChoose: (endpointId: string | undefined) => void) {
    this.#list = list
    this.#more = more
    this.#onChoose = onChoose
  }

  /** The ids of those that are listed. */
  get shown(): string[] {
    return [...this.#views.keys()].sort()
  }

  /** Filters the page by an endpoint; undefined: all endpoints. */
  choose(endpointId: string | undefined): void {
    this.#chosen = endpointId
    for (const [id, { button }] of this.#views) button.setAttribute('aria-pressed', String(id === endpointId))
  }

  /** Shows these, busiest first. */
  show(endpoints: readonly EndpointInfo[]): void {
    const sorted = [...endpoints].sort(
      (a, b) => b.activeConnections - a.activeConnections || a.endpointId.localeCompare(b.endpointId)
    )
    const shown = sorted.slice(0, MAX_SHOWN)
    const most = Math.max(1, shown[0]?.activeConnections ?? 0)
    const ids = new Set(shown.map(({ endpointId }) => endpointId))
    for (const [id, { button }] of this.#views) {
      if (ids.has(id)) continue
      button.parentElement?.remove()
      this.#views.delete(id)
    }
    for (const [index, { endpointId, activeConnections, draining }] of shown.entries()) {
      const { button, number, bar, tag } = this.#view(endpointId)
      setText(number, countText(activeConnections))
      bar.style.width = `${(activeConnections / most) * 100}%`
      tag.hidden = !draining
      setFlag(button, 'none', activeConnections === 0)
      const item = button.parentElement!
      if (this.#list.children[index] !== item)
        this.#list.insertBefore(item, this.#list.children[index] ?? null)
    }
    const hidden = sorted.length - shown.length
    const more = hidden > 0 ? texts.andMore(countText(hidden)) : ''
    setText(this.#more, sorted.length === 0 ? texts.noEndpoints : more)
  }

  #view(endpointId: string): View {
    const known = this.#views.get(endpointId)
    if (known) return known
    const number = el('span', { class: 'number' })
    const bar = el('span', { class: 'fill' })
    const tag = el('span', { class: 'tag warn', hidden: '' }, texts.draining)
    const name = el('span', { class: 'endpoint-name', title: endpointId }, endpointId)
    const attributes = { type: 'button', 'aria-pressed': String(endpointId === this.#chosen) }
    const button = el('button', attributes, name, tag, number, el('span', { class: 'track' }, bar))
    button.addEventListener('click', () =>
      this.#onChoose(endpointId === this.#chosen ? undefined : endpointId)
    )
    const view = { button, number, bar, tag }
    this.#views.set(endpointId, view)
    this.#list.append(el('li', {}, button))
    return view
  }
}
