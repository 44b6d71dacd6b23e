// Owns the form above the list of sessions: it shows the filters that are chosen, and lets others be chosen.
import { byId, el } from './dom.js'
import { type Filters, type StateFilter, transportNames } from './filters.js'
import { columnNames, type ColumnName } from './sorting.js'
import { texts } from './texts.js'
import type { View } from './view.js'

/** How long to wait for the next letter before the list is filtered. Chosen: longer than people pause between two letters. */
const TYPING_MS = 150

/** What can be chosen from, as far as the page knows it. */
export interface Choices {
  endpoint: readonly string[]
  upstream: readonly string[]
  principal: readonly string[]
}

/** What the reader does with the form. */
export interface FilterFormHandlers {
  /** `isTyping`: one of many small changes. */
  onChange: (change: Pick<View, 'endpointId' | 'filters'>, isTyping: boolean) => void
  onSort: (column: ColumnName) => void
}

/** The form; what it shows is given to it. */
export class FilterForm {
  readonly #form = byId('filters', HTMLFormElement)
  readonly #sort = byId('sort', HTMLSelectElement)
  #filters: Filters | undefined
  /** What can be chosen, as JSON, by the name of the control. */
  readonly #offered = new Map<string, string>()

  constructor({ onChange, onSort }: FilterFormHandlers) {
    let typing: ReturnType<typeof setTimeout> | undefined
    this.#fill('transport', texts.anyTransport, transportNames, texts.transportsLong)
    this.#fill('reason', texts.anyReason, Object.keys(texts.reasons))
    this.#fill('endpoint', texts.anyEndpoint, [])
    this.#fill('upstream', texts.anyGateway, [])
    this.#fill('principal', texts.anyone, [])
    this.#sort.replaceChildren(
      ...columnNames.map(name => el('option', { value: name }, texts.sortedBy(texts.columns[name])))
    )
    this.#sort.addEventListener('change', () => onSort(this.#sort.value as ColumnName))
    this.#form.addEventListener('submit', event => event.preventDefault())
    this.#form.addEventListener('input', ({ target }) => {
      clearTimeout(typing)
      if (target === this.#sort) return
      const isTyping = (target as HTMLInputElement).type === 'search'
      typing = setTimeout(() => onChange(this.#read(), isTyping), isTyping ? TYPING_MS : 0)
    })
  }

  /** Shows a view. */
  show({ endpointId, filters, sorting }: View): void {
    this.#filters = filters
    const { state, text, transport, reason, upstream, principal } = filters
    this.#form.querySelector<HTMLInputElement>(`input[name=state][value='${state}']`)!.checked = true
    const search = this.#control('text', HTMLInputElement)
    if (search !== document.activeElement) search.value = text
    const chosen = { transport, reason, endpoint: endpointId, upstream, principal }
    for (const [name, value = ''] of Object.entries(chosen)) this.#choose(name, value)
    this.#sort.value = sorting.column
    // Open sessions have no reason.
    this.#control('reason', HTMLSelectElement).hidden = state === 'open' && reason === undefined
  }

  /** More is known to choose from. A list of one gateway, or of no people, is not shown. */
  offer(choices: Partial<Choices>): void {
    const any = { endpoint: texts.anyEndpoint, upstream: texts.anyGateway, principal: texts.anyone }
    for (const [name, values] of Object.entries(choices)) this.#fill(name, any[name as keyof Choices], values)
  }

  #read(): Pick<View, 'endpointId' | 'filters'> {
    const form = new FormData(this.#form)
    const chosen = (name: string): string | undefined => (form.get(name) as string | null) || undefined
    return {
      endpointId: chosen('endpoint'),
      filters: {
        state: form.get('state') as StateFilter,
        text: (form.get('text') as string).trim(),
        transport: transportNames.find(name => name === chosen('transport')),
        reason: chosen('reason'),
        upstream: chosen('upstream'),
        principal: chosen('principal'),
        conversation: this.#filters?.conversation
      }
    }
  }

  #fill(name: string, any: string, values: readonly string[], labels: Record<string, string> = {}): void {
    const select = this.#control(name, HTMLSelectElement)
    const offered = JSON.stringify(values)
    // A list that the reader may have open does not change.
    if (this.#offered.get(name) === offered || select === document.activeElement) return
    this.#offered.set(name, offered)
    const { value } = select
    select.replaceChildren(
      el('option', { value: '' }, any),
      ...values.map(each => el('option', { value: each }, labels[each] ?? each))
    )
    this.#choose(name, value)
  }

  /** What is chosen is there, though it may not be among what is known. */
  #choose(name: string, value: string): void {
    const select = this.#control(name, HTMLSelectElement)
    if (![...select.options].some(option => option.value === value))
      select.append(el('option', { value }, value))
    select.value = value
    if (name === 'upstream') select.hidden = value === '' && select.options.length < 3
    if (name === 'principal') select.hidden = select.options.length < 2
  }

  #control<Type extends HTMLElement>(name: string, type: abstract new () => Type): Type {
    return byId(`filter-${name}`, type)
  }
}
