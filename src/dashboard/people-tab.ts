// Owns the list of people: on whose behalf sessions are used, the busiest first.
import type { PrincipalInfo } from '../admin/schemas/monitoring-responses.js'
import type { Api } from './api.js'
import { el, html, setText } from './dom.js'
import { clockText, countText } from './format.js'
import { Pace } from './pace.js'
import { Part } from './part.js'
import { texts } from './texts.js'

/** How many are listed at first, and how many more each time. Chosen: what people read through. */
const PAGE = 100
/** The most that the admin port gives at once. */
const MAX_LISTED = 10_000
/** How often they are read at most. Chosen. */
const READ_MS = 5_000

/** What the list reads from, and what the reader does with it. */
export interface PeopleOptions {
  api: Api
  onChoose: (principal: string) => void
  /** Their names, once they are known. */
  onKnown: (names: readonly string[]) => void
}

interface View {
  row: HTMLTableRowElement
  kind: HTMLElement
  cells: Record<'open' | 'total' | 'requests' | 'last' | 'endpoints', HTMLElement>
}

/** The list. */
export class People {
  readonly #options: PeopleOptions
  readonly #body = html('people-body')
  readonly #views = new Map<string, View>()
  readonly #pace = new Pace(READ_MS, () => this.#read())
  readonly part = new Part(html('people-tab'), html('people-note'))
  #endpointId: string | undefined
  #limit = PAGE
  #isShown = false

  constructor(options: PeopleOptions) {
    this.#options = options
    html('people-more').addEventListener('click', () => {
      this.#limit = Math.min(MAX_LISTED, this.#limit + 10 * PAGE)
      this.#pace.now()
    })
  }

  /** Reads those of this endpoint, or of all. */
  read(endpointId: string | undefined): void {
    if (endpointId !== this.#endpointId) this.#limit = PAGE
    this.#endpointId = endpointId
    this.#pace.now()
  }

  /** Whether the reader looks at it. */
  look(isShown: boolean): void {
    if (isShown && !this.#isShown) this.#pace.now()
    this.#isShown = isShown
  }

  /** Something opened or ended. */
  changed(): void {
    if (this.#isShown) this.#pace.soon()
  }

  async #read(): Promise<void> {
    if (document.hidden) return
    const parameters = { endpointId: this.#endpointId, limit: this.#limit }
    const { body, next } = await this.part.reading(() =>
      this.#options.api.page<PrincipalInfo[]>('/api/mcp/principals', parameters)
    )
    html('people-more').hidden = next === undefined || this.#limit >= MAX_LISTED
    setText(html('people-note'), body.length === 0 ? texts.noPeople : '')
    html('people-table').hidden = body.length === 0
    this.#options.onKnown(body.slice(0, PAGE).map(({ principal }) => principal))
    this.#show(body)
  }

  #show(people: readonly PrincipalInfo[]): void {
    const names = new Set(people.map(({ principal }) => principal))
    for (const [name, { row }] of this.#views) {
      if (names.has(name)) continue
      row.remove()
      this.#views.delete(name)
    }
    for (const [index, person] of people.entries()) {
      const view = this.#view(person.principal)
      const { open, total, requests, last, endpoints } = view.cells
      setText(view.kind, person.kind === null ? '' : texts.kinds[person.kind])
      view.kind.hidden = person.kind === null
      setText(open, countText(person.activeConnections))
      setText(total, countText(person.totalConnections))
      setText(requests, countText(person.requestCount))
      setText(last, clockText(Date.parse(person.lastActivity)))
      setText(endpoints, person.endpoints.join(', '))
      if (this.#body.children[index] !== view.row)
        this.#body.insertBefore(view.row, this.#body.children[index] ?? null)
    }
  }

  #view(principal: string): View {
    const known = this.#views.get(principal)
    if (known) return known
    const button = el('button', { type: 'button', class: 'link' }, principal)
    button.addEventListener('click', () => this.#options.onChoose(principal))
    const kind = el('span', { class: 'tag' })
    const cells = {
      open: el('td', { class: 'number' }),
      total: el('td', { class: 'number' }),
      requests: el('td', { class: 'number' }),
      last: el('td', { class: 'number' }),
      endpoints: el('td', { class: 'wide' })
    }
    const name = el('th', { scope: 'row' }, button, ' ', kind)
    const view = { row: el('tr', {}, name, ...Object.values(cells)), kind, cells }
    this.#views.set(principal, view)
    return view
  }
}
