// Owns the health strip: the gateway, the store, the outbox, the proxies of the store, and the live connection.
import type { GatewayHealth, ProxyInfo } from '../admin/schemas/monitoring-responses.js'
import type { Api } from './api.js'
import { el, setText } from './dom.js'
import { countText, durationText } from './format.js'

type State = 'good' | 'warn' | 'bad' | 'unknown'

/** An outbox whose oldest event is older is behind; the same time makes /api/mcp/health unhealthy. */
const BEHIND_MS = 10_000

const checks = ['Gateway', 'Store', 'Outbox', 'Proxies', 'Live'] as const
type Check = (typeof checks)[number]

/** The state of each check, in a list. */
export class HealthStrip {
  readonly #api: Api
  readonly #views = new Map<Check, { item: HTMLElement; value: HTMLElement }>()
  /** Where clients connect, once it is known. */
  endpointUrl: string | undefined

  constructor(list: HTMLElement, api: Api) {
    this.#api = api
    for (const check of checks) {
      const value = el('span', { class: 'value' })
      const item = el('li', {}, el('span', { class: 'dot' }), el('span', { class: 'label' }, check), value)
      this.#views.set(check, { item, value })
      list.append(item)
      this.#set(check, 'unknown', '…')
    }
  }

  /** Shows whether the live connection is up; without it, nothing else is known either. */
  live(isConnected: boolean): void {
    this.#set('Live', isConnected ? 'good' : 'bad', isConnected ? 'connected' : 'disconnected')
    if (isConnected) return
    for (const check of checks) if (check !== 'Live') this.#set(check, 'unknown', 'unknown')
  }

  /** Checks the outbox, the store and the proxies, which costs little. */
  async ask(): Promise<void> {
    const [{ outbox, store, closing }, proxies] = await Promise.all([
      this.#api.readiness(),
      this.#api.get<ProxyInfo[]>('/api/mcp/proxies')
    ])
    this.#set(
      'Store',
      store.ok ? 'good' : 'bad',
      store.ok ? 'ok' : 'unreachable',
      store.failingSince === null ? '' : `since ${store.failingSince}`
    )
    const ageMs = outbox.oldestAt === null ? 0 : Date.now() - Date.parse(outbox.oldestAt)
    const waiting = outbox.depth === 0 ? 'empty' : `${countText(outbox.depth)} waiting`
    if (!outbox.ok) this.#set('Outbox', 'bad', 'cannot write', `${countText(outbox.lostEvents)} events lost`)
    else if (ageMs > BEHIND_MS) this.#set('Outbox', 'warn', `${waiting}, ${durationText(ageMs)}`)
    else this.#set('Outbox', 'good', waiting)
    const alive = proxies.filter(({ lost }) => !lost).length
    const lost = proxies.length - alive
    const text = [`${countText(alive)} up`, ...(lost > 0 ? [`${lost} gone`] : [])].join(', ')
    const details = proxies.map(({ id, lastHeartbeat }) => `${id}, last heard of ${lastHeartbeat}`)
    this.#set('Proxies', closing ? 'warn' : 'good', closing ? 'shutting down' : text, details.join('\n'))
  }

  /** Checks the gateway; the proxy sends it a request for that. */
  async askGateway(): Promise<void> {
    const { serverRunning, endpoint } = await this.#api.get<GatewayHealth>('/api/mcp/health')
    this.endpointUrl = endpoint
    this.#set('Gateway', serverRunning ? 'good' : 'bad', serverRunning ? 'answers' : 'does not answer')
  }

  #set(check: Check, state: State, text: string, details = ''): void {
    const { item, value } = this.#views.get(check)!
    item.dataset['state'] = state
    item.title = details
    setText(value, text)
  }
}
