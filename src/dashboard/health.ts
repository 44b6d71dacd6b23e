// Owns the health strip: the gateway, the store, the outbox, the proxies of the store, and the live connection.
import type { GatewayHealth, ProxyInfo } from '../admin/schemas/monitoring-responses.js'
import type { Readiness } from '../admin/schemas/readiness.js'
import type { Api } from './api.js'
import { el, html, setText } from './dom.js'
import { clockText, countText, durationText } from './format.js'
import { failureText } from './part.js'
import type { StoreState } from './store-watch.js'
import { texts } from './texts.js'
import { showUncounted } from './uncounted-hint.js'

type State = 'good' | 'warn' | 'bad' | 'unknown'

/** An outbox whose oldest event is older is behind; the same time makes /api/mcp/health unhealthy. */
const BEHIND_MS = 10_000

const checks = ['gateway', 'store', 'outbox', 'proxies', 'live'] as const
type Check = (typeof checks)[number]

/** The state of each check, in a list. */
export class HealthStrip {
  readonly #api: Api
  readonly #views = new Map<Check, { item: HTMLElement; value: HTMLElement }>()
  /** Where clients connect, once it is known. */
  endpointUrl: string | undefined
  #isClosing = false

  constructor(list: HTMLElement, api: Api) {
    this.#api = api
    for (const check of checks) {
      const value = el('span', { class: 'value' })
      const item = el(
        'li',
        {},
        el('span', { class: 'dot' }),
        el('span', { class: 'label' }, texts.checks[check]),
        value
      )
      this.#views.set(check, { item, value })
      list.append(item)
      this.#set(check, 'unknown', '…')
    }
  }

  /** Shows how the live connection is; without it, nothing else is known either. */
  live(state: 'connected' | 'waiting' | 'disconnected'): void {
    this.#set(
      'live',
      { connected: 'good', waiting: 'warn', disconnected: 'bad' }[state] as State,
      texts[state]
    )
    if (state !== 'disconnected') return
    for (const check of checks) if (check !== 'live') this.#set(check, 'unknown', texts.unknown)
  }

  /** Shows store and outbox as they were found. */
  show({ canRead, canWrite, since }: StoreState, { outbox, closing }: Readiness): void {
    const sinceText = since === undefined ? '' : texts.since(clockText(since))
    const isUp = canRead && canWrite
    const failure = canWrite ? texts.notReadable : canRead ? texts.notWritable : texts.unreachable
    this.#set('store', isUp ? 'good' : 'bad', isUp ? texts.ok : failure, sinceText)
    const ageMs = outbox.oldestAt === null ? 0 : Date.now() - Date.parse(outbox.oldestAt)
    const waiting = outbox.depth === 0 ? texts.empty : texts.eventsWaiting(countText(outbox.depth))
    if (!outbox.ok)
      this.#set('outbox', 'bad', texts.cannotWrite, texts.eventsLost(countText(outbox.lostEvents)))
    else if (ageMs > BEHIND_MS) this.#set('outbox', 'warn', `${waiting}, ${durationText(ageMs)}`)
    else this.#set('outbox', 'good', waiting)
    this.#isClosing = closing === true
  }

  /** Checks the proxies of the store. */
  async askProxies(): Promise<void> {
    const proxies = await this.#reading('proxies', () => this.#api.get<ProxyInfo[]>('/api/mcp/proxies'))
    const alive = proxies.filter(({ lost }) => !lost).length
    const lost = proxies.length - alive
    const text = texts.proxies(countText(alive), lost === 0 ? undefined : countText(lost))
    const details = proxies.map(({ id, lastHeartbeat }) => texts.lastHeardOf(id, lastHeartbeat))
    const isClosing = this.#isClosing
    this.#set(
      'proxies',
      isClosing ? 'warn' : 'good',
      isClosing ? texts.shuttingDown : text,
      details.join('\n')
    )
  }

  /** Checks the gateway, for which the proxy sends it a request, and whether all that passes is counted. */
  async askGateway(): Promise<void> {
    const { serverRunning, endpoint, uncounted } = await this.#reading('gateway', () =>
      this.#api.get<GatewayHealth>('/api/mcp/health')
    )
    this.endpointUrl = endpoint
    showUncounted(html('uncounted'), uncounted)
    this.#set(
      'gateway',
      serverRunning ? 'good' : 'bad',
      serverRunning ? texts.gatewayAnswers : texts.gatewaySilent
    )
  }

  /** A check that could not be made says so. */
  async #reading<T>(check: Check, read: () => Promise<T>): Promise<T> {
    try {
      return await read()
    } catch (error) {
      this.#set(check, 'unknown', texts.unknown, failureText(error))
      throw error
    }
  }

  #set(check: Check, state: State, text: string, details = ''): void {
    const { item, value } = this.#views.get(check)!
    item.dataset['state'] = state
    item.title = details
    setText(value, text)
  }
}
