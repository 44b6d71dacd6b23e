// Owns the list of gateways, where there are several: what each has now, and the button that drains it.
import type { UpstreamInfo } from '../admin/schemas/monitoring-responses.js'
import type { Api } from './api.js'
import { el, html, setFlag, setText } from './dom.js'
import { clockText, countText } from './format.js'
import { failureText, Part } from './part.js'
import { texts } from './texts.js'

/** What the list acts on. */
export interface GatewaysOptions {
  api: Api
  mayDrain: () => boolean
  /** Something was done, or could not be done; `text` says what. */
  onDone: (text: string) => void
  /** Their names, once they are known. */
  onKnown: (names: readonly string[]) => void
}

interface View {
  item: HTMLElement
  number: HTMLElement
  state: HTMLElement
  underWay: HTMLElement
  safe: HTMLElement
  button: HTMLButtonElement
}

/** The gateways, in the order of their names; with one gateway that is not drained the page does not show it. */
export class Gateways {
  readonly #options: GatewaysOptions
  readonly #list = html('gateways')
  readonly #views = new Map<string, View>()
  #shown: readonly UpstreamInfo[] = []
  readonly part = new Part(html('gateways-panel'), html('gateways-head'))

  constructor(options: GatewaysOptions) {
    this.#options = options
  }

  /** Whether the page shows it. */
  get isShown(): boolean {
    return !html('gateways-panel').hidden
  }

  /** Asks for their state, and shows it. */
  async ask(): Promise<void> {
    this.#show(await this.part.reading(() => this.#options.api.get<UpstreamInfo[]>('/api/mcp/upstreams')))
  }

  #show(gateways: readonly UpstreamInfo[]): void {
    this.#shown = gateways
    html('gateways-panel').hidden = gateways.length < 2 && !gateways.some(({ draining }) => draining)
    const names = new Set(gateways.map(({ name }) => name))
    this.#options.onKnown([...names])
    for (const [name, { item }] of this.#views) {
      if (names.has(name)) continue
      item.remove()
      this.#views.delete(name)
    }
    for (const [index, gateway] of gateways.entries()) {
      const view = this.#view(gateway)
      update(view, gateway, this.#options.mayDrain())
      if (this.#list.children[index] !== view.item)
        this.#list.insertBefore(view.item, this.#list.children[index] ?? null)
    }
  }

  #view({ name, url }: UpstreamInfo): View {
    const known = this.#views.get(name)
    if (known) return known
    const number = el('span', { class: 'number' })
    const state = el('span', { class: 'tag' })
    const underWay = el('span', { class: 'under-way' })
    const safe = el('span', { class: 'tag good' }, texts.safeToStop)
    const button = el('button', { type: 'button' })
    button.addEventListener('click', () => void this.#drain(name))
    const item = el(
      'li',
      {},
      el('span', { class: 'gateway-name', title: url }, name),
      number,
      el('span', { class: 'tags' }, state, safe),
      underWay,
      button
    )
    const view = { item, number, state, underWay, safe, button }
    this.#views.set(name, view)
    this.#list.append(item)
    return view
  }

  /** Drains a gateway, or takes that back. */
  async #drain(name: string): Promise<void> {
    const { api, onDone } = this.#options
    const on = this.#shown.find(gateway => gateway.name === name)?.draining !== true
    const view = this.#views.get(name)
    if (view) view.button.disabled = true
    try {
      await api.send(on ? 'PUT' : 'DELETE', `/api/mcp/upstreams/${encodeURIComponent(name)}/drain`)
      onDone(on ? texts.gatewayDrained(name) : texts.gatewayTakenBack(name))
    } catch (error) {
      onDone(texts.gatewayNotChanged(name, failureText(error)))
    }
    await this.ask().catch(() => undefined)
  }
}

function update({ number, state, underWay, safe, button }: View, gateway: UpstreamInfo, may: boolean): void {
  const { name, draining, activeConnections, requestsInFlight, streams, safeToStop, failingSince } = gateway
  setText(number, countText(activeConnections))
  setText(state, texts.gatewayStates[draining && gateway.state === 'up' ? 'draining' : gateway.state])
  setFlag(state, 'warn', draining || gateway.state !== 'up')
  state.title = failingSince === null ? '' : texts.noConnectionsSince(clockText(Date.parse(failingSince)))
  setText(underWay, texts.underWay(countText(requestsInFlight), countText(streams)))
  safe.hidden = !safeToStop
  setText(button, draining ? texts.takeBack : texts.drain)
  button.setAttribute('aria-label', draining ? texts.takeBackNamed(name) : texts.drainNamed(name))
  button.disabled = !may
}
