// Owns what the list of sessions is narrowed to: state, transport, and text that describes a client.
import type { TransportName } from '../admin/schemas/monitoring-responses.js'
import { byId } from './dom.js'
import type { Search } from './sessions.js'

export type StateFilter = 'open' | 'ended' | 'all'

const TYPING_MS = 150

export class Filters {
  readonly #form = byId('filters', HTMLFormElement)

  constructor(onChange: () => void) {
    let typing: number | undefined
    this.#form.addEventListener('submit', event => event.preventDefault())
    this.#form.addEventListener('input', () => {
      clearTimeout(typing)
      typing = setTimeout(onChange, TYPING_MS)
    })
  }

  get state(): StateFilter {
    return this.#value('state') as StateFilter
  }

  get search(): Search {
    const transport = this.#value('transport')
    return {
      text: this.#value('client'),
      transport: transport === '' ? undefined : (transport as TransportName)
    }
  }

  get isSet(): boolean {
    const { text, transport } = this.search
    return text.trim() !== '' || transport !== undefined
  }

  #value(name: string): string {
    return new FormData(this.#form).get(name) as string
  }
}
