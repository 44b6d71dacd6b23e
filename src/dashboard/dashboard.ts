// Owns the dashboard as a whole: signing in, the live connection, and what each part of the page is given.
import type {
  ClosedNotice,
  ConnectionInfo,
  ConnectionStats,
  EndpointInfo
} from '../admin/schemas/monitoring-responses.js'
import { Activity } from './activity.js'
import { Api } from './api.js'
import { Banner } from './banner.js'
import { byId, html, setFlag, setText } from './dom.js'
import { Drawer } from './drawer.js'
import { Endpoints } from './endpoints.js'
import { enter } from './entrance.js'
import { Gateways } from './gateways.js'
import { HealthStrip } from './health.js'
import { Live } from './live.js'
import { Overview } from './overview.js'
import { Pace } from './pace.js'
import { Part } from './part.js'
import { SessionList } from './session-list.js'
import { StoreWatch } from './store-watch.js'
import { texts } from './texts.js'
import { startTheme } from './theme.js'
import { keepToken, keptToken } from './token.js'

// How often the page counts seconds, reads endpoints and gateways, and checks the store and its proxies. Chosen: each costs
// the proxy little, and a store that is away shows within 5 s.
const TICK_MS = 1_000
const ENDPOINTS_MS = 1_000
const GATEWAYS_MS = 2_000
const STORE_MS = 2_000
const PROXIES_MS = 5_000
/** Chosen: rarer than the other checks, because each one makes the proxy send a request to the gateway. */
const GATEWAY_MS = 15_000
/** How long a message stays. Chosen: long enough to read two lines. */
const TOAST_MS = 8_000

class Dashboard {
  readonly #api = new Api(() => void this.#enter())
  readonly #live = new Live(
    {
      onJoined: () => this.#joined(),
      onWaiting: () => this.#waits(),
      onLost: () => this.#lost(),
      onRefused: () => void this.#enter(),
      onStats: stats => this.#stats(stats),
      onOpened: info => this.#opened(info),
      onClosed: closed => this.#closed(closed)
    },
    () => this.#api.token
  )
  readonly #banner = new Banner()
  readonly #health = new HealthStrip(html('health'), this.#api)
  readonly #store = new StoreWatch(this.#api, {
    onState: (state, readiness) => {
      this.#health.show(state, readiness)
      this.#banner.store(state)
      if (!state.canRead) for (const part of this.#parts()) part.failed(texts.storeIsAway)
    },
    onBack: () => this.#readAll()
  })
  readonly #overview = new Overview(this.#api, () => this.#sessions.readRange())
  readonly #endpoints = new Endpoints(html('endpoints'), html('endpoints-more'), id => void this.#choose(id))
  readonly #endpointsPart = new Part(html('endpoints-panel'), html('endpoints-head'))
  readonly #gateways = new Gateways({
    api: this.#api,
    mayDrain: () => this.#mayWrite,
    onDone: text => this.#toast(text)
  })
  readonly #activity = new Activity(html('activity'), html('activity-empty'), html('spoken'), key =>
    this.#openDrawer(key)
  )
  readonly #activityPart = new Part(html('activity-panel'), html('activity-head'))
  readonly #sessions: SessionList = new SessionList({
    api: this.#api,
    range: () => this.#overview.range.now,
    endpointUrl: () => this.#health.endpointUrl,
    onOpen: session => this.#drawer.open(session)
  })
  readonly #drawer = new Drawer({
    api: this.#api,
    mayEnd: () => this.#mayWrite,
    onEnded: text => this.#toast(text)
  })
  readonly #endpointsPace = new Pace(ENDPOINTS_MS, () => this.#askEndpoints())
  /** Undefined: all. */
  #endpointId: string | undefined
  #mayWrite = false
  #isEntering = false
  /** The live connection is up without a subscription. */
  #isWaiting = false
  #toastTimer: number | undefined

  start(): void {
    startTheme(byId('theme', HTMLButtonElement), () => this.#overview.repaint())
    html('all-endpoints').addEventListener('click', () => void this.#choose(undefined))
    html('sign-out').addEventListener('click', () => {
      this.#api.token = undefined
      keepToken(undefined)
      void this.#enter()
    })
    this.#api.token = keptToken()
    setInterval(() => this.#tick(), TICK_MS)
    this.#every(GATEWAYS_MS, async () => {
      if (this.#gateways.isShown) await this.#gateways.ask()
    })
    this.#every(GATEWAY_MS, () => this.#gateways.ask())
    this.#every(STORE_MS, () => this.#store.ask())
    this.#every(PROXIES_MS, () => this.#health.askProxies())
    this.#every(GATEWAY_MS, () => this.#health.askGateway())
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden && this.#live.isConnected) this.#readAll()
    })
    void this.#enter()
  }

  /** Finds out what may be seen, and connects. */
  async #enter(): Promise<void> {
    if (this.#isEntering) return
    this.#isEntering = true
    this.#live.close()
    this.#mayWrite = await enter(this.#api, {
      onUnreachable: () => this.#lost(),
      onRefused: reason => this.#banner.refused(reason)
    })
    this.#isEntering = false
    this.#live.connect()
  }

  #joined(): void {
    this.#isWaiting = false
    this.#connected()
    this.#health.live('connected')
    this.#activityPart.ok()
  }

  /** The page is filled without the live connection, as far as that works. */
  #waits(): void {
    if (this.#isWaiting) return
    this.#isWaiting = true
    this.#connected()
    this.#health.live('waiting')
    this.#activityPart.failed(texts.noSubscription)
  }

  #connected(): void {
    this.#banner.lost(undefined)
    this.#readAll()
    const asked = [this.#store.ask(), this.#health.askProxies(), this.#gateways.ask()]
    for (const each of asked) each.catch(() => undefined)
    this.#health.askGateway().then(
      () => this.#sessions.changed(),
      () => undefined
    )
  }

  #lost(): void {
    if (this.#banner.isLost) return
    this.#isWaiting = false
    this.#banner.lost(Date.now())
    this.#health.live('disconnected')
  }

  #parts(): Part[] {
    return [this.#overview.part, this.#endpointsPart, this.#activityPart, this.#gateways.part, this.#sessions.part]
  }

  #readAll(): void {
    this.#endpointsPace.now()
    this.#overview.read(this.#endpointId)
    this.#sessions.read(this.#endpointId)
    if (!this.#isWaiting) this.#activityPart.ok()
  }

  #stats(stats: ConnectionStats): void {
    this.#overview.stats(stats)
    this.#sessions.stats(stats)
    this.#changed()
  }

  #opened(info: ConnectionInfo): void {
    this.#activity.opened(this.#sessions.opened(info))
    this.#changed()
  }

  #closed(closed: ClosedNotice): void {
    const ended = this.#sessions.closed(closed)
    this.#activity.closed(closed, ended)
    if (ended && this.#drawer.key === ended.key) this.#drawer.update(ended)
    this.#changed()
  }

  #changed(): void {
    this.#endpointsPace.soon()
    this.#overview.changed()
  }

  async #choose(endpointId: string | undefined): Promise<void> {
    this.#endpointId = endpointId
    this.#endpoints.choose(endpointId)
    setText(html('scope'), endpointId ?? texts.allEndpoints)
    html('all-endpoints').hidden = endpointId === undefined
    this.#activity.clear()
    this.#isWaiting = false
    if (!this.#live.isConnected) this.#readAll()
    await this.#live.watch(endpointId)
  }

  async #askEndpoints(): Promise<void> {
    if (document.hidden) return
    const asked = () => this.#api.get<EndpointInfo[]>('/api/mcp/endpoints')
    this.#endpoints.show(await this.#endpointsPart.reading(asked))
  }

  #openDrawer(key: string): void {
    const session = this.#sessions.get(key)
    if (session) this.#drawer.open(session)
    else this.#toast(texts.hasEnded)
  }

  #toast(text: string): void {
    const toast = html('toast')
    setText(toast, text)
    setFlag(toast, 'shown', true)
    clearTimeout(this.#toastTimer)
    this.#toastTimer = setTimeout(() => {
      setFlag(toast, 'shown', false)
      setText(toast, '')
    }, TOAST_MS)
  }

  #tick(): void {
    if (document.hidden || this.#banner.isStale) return
    this.#sessions.tick(Date.now())
    this.#activity.tick()
    this.#overview.tick()
    const key = this.#drawer.key
    if (key !== undefined) this.#drawer.update(this.#sessions.get(key))
  }

  /** Never two of a kind at a time. */
  #every(ms: number, act: () => Promise<void>): void {
    let isRunning = false
    setInterval(() => {
      if (isRunning || document.hidden || !this.#live.isConnected) return
      isRunning = true
      void act()
        .catch(() => undefined)
        .finally(() => (isRunning = false))
    }, ms)
  }
}

new Dashboard().start()
