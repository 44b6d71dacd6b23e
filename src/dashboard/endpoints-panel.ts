// Owns the panel of endpoints, and what can be done with the one that is chosen: both are read together.
import type { EndpointInfo } from '../admin/schemas/monitoring-responses.js'
import { html } from './dom.js'
import { EndpointActions, type EndpointActionsOptions } from './endpoint-actions.js'
import { Endpoints } from './endpoints.js'
import { Pace } from './pace.js'
import { Part } from './part.js'

/** How often they are read at most. Chosen: it costs the proxy little. */
const READ_MS = 1_000

/** What the panel reads from, and what the reader does with it. */
export interface EndpointsPanelOptions extends Omit<EndpointActionsOptions, 'onDeleted'> {
  onChoose: (endpointId: string | undefined) => void
  /** Their ids, once they are known. */
  onKnown: (endpointIds: readonly string[]) => void
}

/** The panel. */
export class EndpointsPanel {
  readonly #options: EndpointsPanelOptions
  readonly #list: Endpoints
  readonly #actions: EndpointActions
  readonly #pace = new Pace(READ_MS, () => this.#read())
  readonly part = new Part(html('endpoints-panel'), html('endpoints-head'))

  constructor(options: EndpointsPanelOptions) {
    this.#options = options
    const { onChoose } = options
    this.#list = new Endpoints(html('endpoints'), html('endpoints-more'), onChoose)
    this.#actions = new EndpointActions({ ...options, onDeleted: () => onChoose(undefined) })
    html('all-endpoints').addEventListener('click', () => onChoose(undefined))
  }

  /** Shows which one is chosen; undefined: all. */
  look(endpointId: string | undefined): void {
    html('all-endpoints').hidden = endpointId === undefined
    this.#list.choose(endpointId)
    this.#actions.choose(endpointId)
  }

  /** Reads them now. */
  read(): void {
    this.#pace.now()
  }

  /** Something opened or ended. */
  changed(): void {
    this.#pace.soon()
  }

  async #read(): Promise<void> {
    if (document.hidden) return
    const endpoints = await this.part.reading(() =>
      this.#options.api.get<EndpointInfo[]>('/api/mcp/endpoints')
    )
    this.#list.show(endpoints)
    this.#actions.update(endpoints)
    this.#options.onKnown(this.#list.shown)
  }
}
