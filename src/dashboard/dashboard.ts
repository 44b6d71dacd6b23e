// Owns the dashboard as a whole: signing in, the live connection, and what each part of the page is given.
import type {
  ClosedNotice,
  ConnectionInfo,
  ConnectionStats,
  EndpointInfo,
  TokenAccess
} from '../admin/schemas/monitoring-responses.js'
import { Activity } from './activity.js'
import { Api, ApiError } from './api.js'
import { byId, html, setFlag, setText } from './dom.js'
import { Drawer } from './drawer.js'
import { Endpoints } from './endpoints.js'
import { clockText } from './format.js'
import { Gateways } from './gateways.js'
import { HealthStrip } from './health.js'
import { Live } from './live.js'
import { Overview } from './overview.js'
import { Pace } from './pace.js'
import { SessionList } from './session-list.js'
import { startTheme } from './theme.js'
import { askForToken, keepToken, keptToken } from './token.js'

// How often the page counts seconds, reads the endpoints and the gateways, and checks store and outbox. Chosen: each costs the proxy little.
const TICK_MS = 1_000
const ENDPOINTS_MS = 1_000
const GATEWAYS_MS = 2_000
const HEALTH_MS = 5_000
/** Chosen: rarer than the other checks, because each one makes the proxy send a request to the gateway. */
const GATEWAY_MS = 15_000
/** How soon an admin port that cannot be reached is asked again. Chosen. */
const RETRY_MS = 2_000
/** How long a message stays. Chosen: long enough to read two lines. */
const TOAST_MS = 8_000

const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

class Dashboard {
  readonly #api = new Api(() => void this.#enter())
  readonly #live = new Live(
    {
      onJoined: () => this.#joined(),
      onLost: () => this.#lost(),
      onRefused: () => void this.#enter(),
      onStats: stats => this.#stats(stats),
      onOpened: info => this.#opened(info),
      onClosed: closed => this.#closed(closed)
    },
    () => this.#api.token
  )
  readonly #health = new HealthStrip(html('health'), this.#api)
  readonly #overview = new Overview(this.#api, () => this.#sessions.readRange())
  readonly #endpoints = new Endpoints(html('endpoints'), html('endpoints-more'), id => void this.#choose(id))
  readonly #gateways = new Gateways({
    api: this.#api,
    mayDrain: () => this.#mayWrite,
    onDone: text => this.#toast(text)
  })
  readonly #activity = new Activity(html('activity'), html('activity-empty'), html('spoken'), key =>
    this.#openDrawer(key)
  )
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
  #lostAt: number | undefined
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
    this.#every(HEALTH_MS, () => this.#health.ask())
    this.#every(GATEWAY_MS, () => this.#health.askGateway())
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden && this.#live.isConnected) this.#readAll()
    })
    void this.#enter()
  }

  /** Finds out what may be seen, asking for a token as often as needed, and connects. */
  async #enter(): Promise<void> {
    if (this.#isEntering) return
    this.#isEntering = true
    this.#live.close()
    for (;;) {
      try {
        const { scope } = await this.#api.get<TokenAccess>('/api/mcp/access')
        this.#mayWrite = scope === 'write'
        break
      } catch (error) {
        if (!(error instanceof ApiError)) {
          this.#lost()
          await sleep(RETRY_MS)
        } else if ([401, 403, 429].includes(error.status)) {
          setFlag(document.body, 'locked', true)
          html('banner').hidden = true
          const wrong = this.#api.token === undefined ? '' : 'This token is not accepted.'
          this.#api.token = await askForToken(error.status === 401 ? wrong : `${error.message}.`)
        } else {
          this.#banner(error.message)
          await sleep(RETRY_MS)
        }
      }
    }
    this.#isEntering = false
    keepToken(this.#api.token)
    html('sign-out').hidden = this.#api.token === undefined
    html('read-only').hidden = this.#mayWrite
    setFlag(document.body, 'locked', false)
    this.#live.connect()
  }

  #joined(): void {
    this.#lostAt = undefined
    html('banner').hidden = true
    setFlag(document.body, 'stale', false)
    this.#health.live(true)
    this.#readAll()
    void this.#health.ask().catch(() => undefined)
    void this.#gateways.ask().catch(() => undefined)
    this.#health.askGateway().then(
      () => this.#sessions.changed(),
      () => undefined
    )
  }

  #lost(): void {
    if (this.#lostAt !== undefined) return
    this.#lostAt = Date.now()
    setFlag(document.body, 'stale', true)
    this.#health.live(false)
    this.#banner(
      `Disconnected from mcp-turnstile. What you see is from ${clockText(this.#lostAt)}. Trying again…`
    )
  }

  #banner(text: string): void {
    html('banner').hidden = false
    setText(html('banner'), text)
  }

  #readAll(): void {
    this.#endpointsPace.now()
    this.#overview.read(this.#endpointId)
    this.#sessions.read(this.#endpointId)
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
    setText(html('scope'), endpointId ?? 'all endpoints')
    html('all-endpoints').hidden = endpointId === undefined
    this.#activity.clear()
    await this.#live.watch(endpointId)
  }

  async #askEndpoints(): Promise<void> {
    if (!document.hidden) this.#endpoints.show(await this.#api.get<EndpointInfo[]>('/api/mcp/endpoints'))
  }

  #openDrawer(key: string): void {
    const session = this.#sessions.get(key)
    if (session) this.#drawer.open(session)
    else this.#toast('This session has ended. Look for it among the ended ones.')
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
    if (document.hidden || this.#lostAt !== undefined) return
    this.#sessions.tick(Date.now())
    this.#activity.tick()
    this.#overview.tick()
    const key = this.#drawer.key
    if (key !== undefined) this.#drawer.update(this.#sessions.get(key))
  }

  #every(ms: number, act: () => Promise<void>): void {
    setInterval(() => {
      if (!document.hidden && this.#live.isConnected) void act().catch(() => undefined)
    }, ms)
  }
}

new Dashboard().start()
