// Owns the lower part of the page: sessions, people, clients and tools, by tab, with the filters above them.
import type { AddressBar } from './address-bar.js'
import type { Api } from './api.js'
import { ClientsTab } from './clients-tab.js'
import { ColumnHeads } from './column-heads.js'
import { downloadCsv } from './csv.js'
import { byId, html } from './dom.js'
import { FilterForm } from './filter-form.js'
import type { Part } from './part.js'
import { People } from './people-tab.js'
import type { ShownRange } from './range.js'
import { SessionList, type SessionListOptions } from './session-list.js'
import { startTabs } from './tab-bar.js'
import { ToolsTab } from './tools-tab.js'
import type { View } from './view.js'

/** What the lists read from, and what the reader does with them. */
export interface ListsOptions extends Pick<SessionListOptions, 'now' | 'endpointUrl' | 'onOpen'> {
  api: Api
  address: AddressBar
  range: () => ShownRange
  /** The list could not be downloaded. */
  onFailure: (error: unknown) => void
}

/** The lists; one of them is looked at. */
export class Lists {
  readonly #options: ListsOptions
  readonly form: FilterForm
  readonly #heads: ColumnHeads
  readonly #showTab: (tab: View['tab']) => void
  readonly sessions: SessionList
  readonly #clients: ClientsTab
  readonly #people: People
  readonly #tools: ToolsTab

  constructor(options: ListsOptions) {
    const { api, address, range } = (this.#options = options)
    const view = (): View => address.view
    this.form = new FilterForm({
      onChange: (change, isTyping) => address.go(change, isTyping),
      onSort: column => address.sort(column)
    })
    this.#heads = new ColumnHeads(html('grid-columns'), column => address.sort(column))
    this.#showTab = startTabs(tab => address.go({ tab }))
    this.#clients = new ClientsTab(text => address.narrow(text))
    this.sessions = new SessionList({
      ...options,
      view,
      onShown: (sessions, more) => this.#clients.update(sessions, more)
    })
    this.#people = new People({
      api,
      onChoose: principal => address.goTo({ principal }),
      onKnown: principal => this.form.offer({ principal })
    })
    this.#tools = new ToolsTab({ api, view, range, onLook: tools => address.go({ tools }, true) })
    html('csv').addEventListener('click', () => void this.#download())
  }

  /** Those that can fail. */
  get parts(): Part[] {
    return [this.sessions, this.#people, this.#tools].map(({ part }) => part)
  }

  /** Shows what the reader looks at. */
  show(view: View): void {
    const { sorting, tab } = view
    this.form.show(view)
    this.#heads.show(sorting)
    this.#showTab(tab)
    this.#people.look(tab === 'people')
    this.#clients.look(tab === 'clients')
    this.#tools.look(tab === 'tools')
    this.sessions.look()
  }

  /** Reads all again. */
  read(): void {
    this.sessions.read()
    this.#people.read(this.#options.address.view.endpointId)
    this.#tools.read()
  }

  /** Something opened, ended or was used. */
  changed(): void {
    this.#people.changed()
    this.#tools.changed()
  }

  /** The colours changed. */
  repaintCharts(): void {
    this.#tools.repaint()
  }

  /** The time zone changed. */
  repaint(): void {
    this.repaintCharts()
    this.sessions.repaint()
  }

  async #download(): Promise<void> {
    const button = byId('csv', HTMLButtonElement)
    button.disabled = true
    await downloadCsv(this.#options.api, this.sessions.query).catch(this.#options.onFailure)
    button.disabled = false
  }
}
