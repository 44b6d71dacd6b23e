// Owns the page's connection to the proxy: signing in, the live connection, the checks of health, and what is said of them.
import type { ClosedNotice, ConnectionInfo, ConnectionStats } from '../admin/schemas/monitoring-responses.js'
import { Api } from './api.js'
import { Banner } from './banner.js'
import { html } from './dom.js'
import { enter } from './entrance.js'
import { HealthStrip } from './health.js'
import { Live } from './live.js'
import { type StoreState, StoreWatch } from './store-watch.js'
import { keepToken, keptToken } from './token.js'

// How often the store, its proxies and the gateway are checked. Chosen: a store that is away shows within 5 s.
const STORE_MS = 2_000
const PROXIES_MS = 5_000
/** Chosen: rarer than the other checks, because each one makes the proxy send a request to the gateway. */
const GATEWAY_MS = 15_000

/** What the page does with what comes. */
export interface ConnectionHandlers {
  /** The reader was let in. */
  onEntered: () => void
  /** What is shown may be out of date. `isLive`: whether changes are reported from now on. */
  onConnected: (isLive: boolean) => void
  /** The store was looked at. */
  onStore: (state: StoreState) => void
  /** The store can be read again. */
  onStoreBack: () => void
  /** Where clients connect is known. */
  onGateway: () => void
  // Not called during a pause:
  onStats: (stats: ConnectionStats) => void
  onOpened: (info: ConnectionInfo) => void
  onClosed: (closed: ClosedNotice) => void
}

/** Not connected until `start` is called. */
export class Connection {
  readonly #handlers: ConnectionHandlers
  readonly api = new Api(() => void this.#enter())
  readonly banner = new Banner()
  readonly #health = new HealthStrip(html('health'), this.api)
  readonly #store: StoreWatch
  readonly #live: Live
  /** Whether the token, or none, may write. */
  mayWrite = false
  /** Whether the reader is not let in yet. */
  isEntering = false
  /** The live connection is up without a subscription. */
  #isWaiting = false
  /** The last state that came during a pause: an unchanged one is not sent again. */
  #held: ConnectionStats | undefined

  constructor(handlers: ConnectionHandlers) {
    this.#handlers = handlers
    this.#store = new StoreWatch(this.api, {
      onState: (state, readiness) => {
        this.#health.show(state, readiness)
        this.banner.store(state)
        handlers.onStore(state)
      },
      onBack: handlers.onStoreBack
    })
    this.#live = new Live(
      {
        onJoined: () => {
          this.#isWaiting = false
          this.#connected()
        },
        onWaiting: () => {
          if (this.#isWaiting) return
          this.#isWaiting = true
          this.#connected()
        },
        onLost: () => this.#lost(),
        onRefused: () => void this.#enter(),
        onStats: stats => {
          if (this.banner.isPaused) this.#held = stats
          else handlers.onStats(stats)
        },
        onOpened: info => {
          if (!this.banner.isPaused) handlers.onOpened(info)
        },
        onClosed: closed => {
          if (!this.banner.isPaused) handlers.onClosed(closed)
        }
      },
      () => this.api.token
    )
  }

  /** Where clients connect, once it is known. */
  get endpointUrl(): string | undefined {
    return this.#health.endpointUrl
  }

  /** Whether the live connection is up. */
  get isConnected(): boolean {
    return this.#live.isConnected
  }

  /** Connects, asking for a token where one is needed. */
  start(): void {
    this.api.token = keptToken()
    html('sign-out').addEventListener('click', () => {
      this.api.token = undefined
      keepToken(undefined)
      void this.#enter()
    })
    this.every(STORE_MS, () => this.#store.ask())
    this.every(PROXIES_MS, () => this.#health.askProxies())
    this.every(GATEWAY_MS, () => this.#askGateway())
    void this.#enter()
  }

  /** Watches this endpoint, or all. */
  watch(endpointId: string | undefined): void {
    this.#isWaiting = false
    void this.#live.watch(endpointId)
  }

  /** Has the page stand still, or go on. */
  pause(on: boolean): void {
    this.banner.pause(on ? Date.now() : undefined)
    if (!on && this.#held) this.#handlers.onStats(this.#held)
    this.#held = undefined
  }

  /** Does something now and then while the page is looked at and connected, never two of a kind at a time. */
  every(ms: number, act: () => Promise<void>): void {
    let isRunning = false
    setInterval(() => {
      if (isRunning || document.hidden || !this.isConnected) return
      isRunning = true
      void act()
        .catch(() => undefined)
        .finally(() => (isRunning = false))
    }, ms)
  }

  /** Finds out what may be seen, and connects. */
  async #enter(): Promise<void> {
    if (this.isEntering) return
    this.isEntering = true
    this.#live.close()
    this.mayWrite = await enter(this.api, {
      onUnreachable: () => this.#lost(),
      onRefused: reason => this.banner.refused(reason)
    })
    this.isEntering = false
    this.#live.connect()
    this.#handlers.onEntered()
  }

  /** Without a subscription the page is filled too, as far as that works. */
  #connected(): void {
    this.banner.lost(undefined)
    this.#health.live(this.#isWaiting ? 'waiting' : 'connected')
    this.#handlers.onConnected(!this.#isWaiting)
    for (const asked of [this.#store.ask(), this.#health.askProxies(), this.#askGateway()])
      asked.catch(() => undefined)
  }

  #lost(): void {
    if (this.banner.isLost) return
    this.#isWaiting = false
    this.banner.lost(Date.now())
    this.#health.live('disconnected')
  }

  async #askGateway(): Promise<void> {
    await this.#health.askGateway()
    this.#handlers.onGateway()
  }
}
