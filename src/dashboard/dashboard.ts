// Owns the dashboard as a whole: what each part of the page is given, and what the reader looks at.
import type { ClosedNotice, ConnectionInfo, ConnectionStats } from '../admin/schemas/monitoring-responses.js'
import { Activity } from './activity.js'
import { AddressBar } from './address-bar.js'
import { startConfirm } from './confirm.js'
import { Details } from './details.js'
import { byId, html, setFlag, setText } from './dom.js'
import { EndpointsPanel } from './endpoints-panel.js'
import { Gateways } from './gateways.js'
import { startLanguage } from './language.js'
import { Lists } from './lists.js'
import { Connection } from './live-page.js'
import { Overview } from './overview.js'
import { failureText, Part } from './part.js'
import { RangePicker } from './range-picker.js'
import { rangeAt, type ShownRange } from './range.js'
import { SubjectPage } from './subject.js'
import { texts } from './texts.js'
import { startTheme } from './theme.js'
import { Toast } from './toast.js'
import { subjectOf, type View } from './view.js'
import { startZone } from './zone.js'

// How often the page counts seconds, and reads gateways. Chosen: each costs the proxy little.
const TICK_MS = 1_000
const GATEWAYS_MS = 2_000
/** How often gateways are read while there is one only, which is not shown. Chosen. */
const ONE_GATEWAY_MS = 15_000
/** How often requests and last activity of people, and the use of tools, are read while nobody comes or goes. Chosen. */
const USE_MS = 15_000

class Dashboard {
  readonly #toast = new Toast(html('toast'))
  readonly #address = new AddressBar(view => this.#look(view))
  readonly #connection = new Connection({
    onEntered: () => {
      this.#show(this.#address.view)
      this.#details.look()
    },
    onConnected: isLive => this.#connected(isLive),
    onStore: ({ canRead }) => {
      if (!canRead) for (const part of this.#parts()) part.failed(texts.storeIsAway)
    },
    onStoreBack: () => this.#readAll(),
    onGateway: () => this.#sessions.changed(),
    onStats: stats => this.#stats(stats),
    onOpened: info => this.#opened(info),
    onClosed: closed => this.#closed(closed)
  })
  readonly #api = this.#connection.api
  readonly #banner = this.#connection.banner
  readonly #picker = new RangePicker({
    shown: () => this.#range,
    onChoose: range => this.#address.go({ range })
  })
  readonly #overview = new Overview({
    api: this.#api,
    range: () => this.#range,
    onChoose: range => this.#address.go({ range }),
    onZoomOut: () => this.#address.go({ range: this.#picker.last })
  })
  readonly #endpoints = new EndpointsPanel({
    api: this.#api,
    mayWrite: () => this.#connection.mayWrite,
    onDone: text => this.#done(text),
    onChoose: endpointId => this.#address.go({ endpointId }),
    onKnown: endpoint => this.#lists.form.offer({ endpoint })
  })
  readonly #gateways = new Gateways({
    api: this.#api,
    mayDrain: () => this.#connection.mayWrite,
    onDone: text => this.#toast.show(text),
    onKnown: upstream => this.#lists.form.offer({ upstream })
  })
  readonly #activity = new Activity(html('activity'), html('activity-empty'), html('spoken'), key =>
    this.#details.openListed(key)
  )
  readonly #activityPart = new Part(html('activity-panel'), html('activity-head'))
  readonly #lists: Lists = new Lists({
    api: this.#api,
    address: this.#address,
    range: () => this.#range,
    now: () => this.#banner.now,
    endpointUrl: () => this.#connection.endpointUrl,
    onOpen: session => this.#details.open(session),
    onFailure: error => this.#toast.show(texts.notDone(failureText(error)))
  })
  readonly #sessions = this.#lists.sessions
  readonly #subject = new SubjectPage({
    api: this.#api,
    mayWrite: () => this.#connection.mayWrite,
    query: () => ({ ...this.#sessions.query, transport: undefined, upstream: undefined }),
    onOpen: session => this.#details.open(session),
    onSubject: subject => this.#address.goTo(subject),
    onEndpoint: endpointId => this.#address.go({ endpointId }),
    onText: text => this.#address.narrow(text),
    onDone: text => this.#done(text),
    onRenamed: principal => this.#address.goTo({ principal })
  })
  readonly #details = new Details({
    api: this.#api,
    address: this.#address,
    toast: this.#toast,
    listed: key => this.#sessions.get(key),
    mayAsk: () => !this.#connection.isEntering,
    mayEnd: () => this.#connection.mayWrite,
    onSubject: subject => this.#address.goTo(subject)
  })
  #isLive = false
  /** The endpoint that is watched; undefined: all. */
  #watched: string | undefined

  start(): void {
    startConfirm()
    startZone(byId('zone', HTMLButtonElement), () => this.#repaint())
    startTheme(byId('theme', HTMLButtonElement), () => this.#repaintCharts())
    this.#startButtons()
    setInterval(() => this.#tick(), TICK_MS)
    this.#connection.every(GATEWAYS_MS, async () => {
      if (this.#gateways.isShown) await this.#gateways.ask()
    })
    this.#connection.every(ONE_GATEWAY_MS, () => this.#gateways.ask())
    this.#connection.every(USE_MS, () => Promise.resolve(this.#used()))
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden && this.#connection.isConnected) this.#readAll()
    })
    this.#watched = this.#address.view.endpointId
    this.#connection.watch(this.#watched)
    this.#show(this.#address.view)
    this.#connection.start()
  }

  #startButtons(): void {
    html('subject-back').addEventListener('click', () => this.#address.goTo(undefined))
    html('pause').addEventListener('click', () => this.#pause(!this.#banner.isPaused))
    // The fragment of the address is the view.
    html('skip').addEventListener('click', event => {
      event.preventDefault()
      html('sessions').focus()
    })
  }

  #connected(isLive: boolean): void {
    this.#isLive = isLive
    this.#readAll()
    if (!isLive) this.#activityPart.failed(texts.noSubscription)
    this.#gateways.ask().catch(() => undefined)
  }

  #parts(): Part[] {
    const parts = [this.#endpoints, this.#overview, this.#gateways, this.#subject].map(({ part }) => part)
    return [...parts, ...this.#lists.parts, this.#activityPart]
  }

  /** The range that is shown; it stands still with the page. */
  get #range(): ShownRange {
    return rangeAt(this.#address.view.range, this.#banner.now)
  }

  #readAll(): void {
    this.#endpoints.read()
    this.#overview.read(this.#address.view.endpointId)
    this.#lists.read()
    this.#subject.read()
    if (this.#isLive) this.#activityPart.ok()
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
    if (ended) this.#details.closed(ended)
    this.#changed()
  }

  #changed(): void {
    this.#endpoints.changed()
    this.#overview.changed()
    this.#used()
  }

  /** Sessions may have been used. */
  #used(): void {
    if (this.#banner.isPaused) return
    this.#lists.changed()
    this.#subject.changed()
  }

  /** The reader looks at something else. */
  #look(view: View): void {
    if (view.endpointId !== this.#watched) this.#watch(view.endpointId)
    else this.#overview.look()
    this.#show(view)
    this.#details.look()
  }

  /** Another endpoint is watched; a pause ends. */
  #watch(endpointId: string | undefined): void {
    this.#watched = endpointId
    this.#pause(false)
    this.#activity.clear()
    if (!this.#connection.isConnected) this.#readAll()
    this.#connection.watch(endpointId)
  }

  #show(view: View): void {
    const subject = subjectOf(view)
    setText(html('scope'), view.endpointId ?? texts.allEndpoints)
    setFlag(document.body, 'of-subject', subject !== undefined)
    this.#endpoints.look(view.endpointId)
    this.#picker.show(view.range)
    this.#lists.show(view)
    this.#subject.look(subject)
  }

  #pause(on: boolean): void {
    if (on === this.#banner.isPaused) return
    this.#connection.pause(on)
    setText(html('pause'), on ? texts.page.resume : texts.page.pause)
    html('pause').setAttribute('aria-pressed', String(on))
    if (!on) this.#readAll()
  }

  /** Something was done; the page shows it soon. */
  #done(text: string): void {
    this.#toast.show(text)
    this.#readAll()
  }

  #repaintCharts(): void {
    this.#overview.repaint()
    this.#lists.repaintCharts()
  }

  #repaint(): void {
    this.#overview.repaint()
    this.#lists.repaint()
    this.#activity.repaint()
    this.#show(this.#address.view)
  }

  #tick(): void {
    if (document.hidden || this.#banner.isStale) return
    this.#sessions.tick()
    this.#activity.tick()
    this.#overview.tick()
    this.#details.tick()
  }
}

startLanguage()
new Dashboard().start()
