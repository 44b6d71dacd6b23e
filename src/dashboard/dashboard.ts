// Owns the dashboard as a whole: what each part of the page is given, and what the reader looks at.
import type {
  ClosedNotice,
  ConnectionInfo,
  ConnectionStats,
  EndpointInfo
} from '../admin/schemas/monitoring-responses.js'
import { Activity } from './activity.js'
import { AddressBar } from './address-bar.js'
import { ClientsTab } from './clients-tab.js'
import { ColumnHeads } from './column-heads.js'
import { startConfirm } from './confirm.js'
import { downloadCsv } from './csv.js'
import { Details } from './details.js'
import { byId, html, setFlag, setText } from './dom.js'
import { EndpointActions } from './endpoint-actions.js'
import { Endpoints } from './endpoints.js'
import { FilterForm } from './filter-form.js'
import { noFilters } from './filters.js'
import { Gateways } from './gateways.js'
import { startLanguage } from './language.js'
import { Connection } from './live-page.js'
import { Overview } from './overview.js'
import { Pace } from './pace.js'
import { failureText, Part } from './part.js'
import { People } from './people-tab.js'
import { RangePicker } from './range-picker.js'
import { rangeAt, type ShownRange } from './range.js'
import { SessionList } from './session-list.js'
import { chooseColumn, type ColumnName } from './sorting.js'
import { type Subject, SubjectPage } from './subject.js'
import { startTabs } from './tab-bar.js'
import { texts } from './texts.js'
import { startTheme } from './theme.js'
import { Toast } from './toast.js'
import type { View } from './view.js'
import { startZone } from './zone.js'

// How often the page counts seconds, and reads endpoints and gateways. Chosen: each costs the proxy little.
const TICK_MS = 1_000
const ENDPOINTS_MS = 1_000
const GATEWAYS_MS = 2_000
/** How often gateways are read while there is one only, which is not shown. Chosen. */
const ONE_GATEWAY_MS = 15_000
/** How often requests and last activity of people are read while nobody comes or goes. Chosen. */
const PEOPLE_MS = 15_000

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
  readonly #endpoints = new Endpoints(html('endpoints'), html('endpoints-more'), id => this.#choose(id))
  readonly #endpointsPart = new Part(html('endpoints-panel'), html('endpoints-head'))
  readonly #actions = new EndpointActions({
    api: this.#api,
    mayWrite: () => this.#connection.mayWrite,
    onDone: text => this.#done(text),
    onDeleted: () => this.#choose(undefined)
  })
  readonly #gateways = new Gateways({
    api: this.#api,
    mayDrain: () => this.#connection.mayWrite,
    onDone: text => this.#toast.show(text),
    onKnown: upstream => this.#form.offer({ upstream })
  })
  readonly #activity = new Activity(html('activity'), html('activity-empty'), html('spoken'), key =>
    this.#details.openListed(key)
  )
  readonly #activityPart = new Part(html('activity-panel'), html('activity-head'))
  readonly #form = new FilterForm({
    onChange: (change, isTyping) => this.#address.go(change, isTyping),
    onSort: column => this.#sort(column)
  })
  readonly #heads = new ColumnHeads(html('grid-columns'), column => this.#sort(column))
  readonly #showTab = startTabs(tab => this.#address.go({ tab }))
  readonly #sessions: SessionList = new SessionList({
    api: this.#api,
    view: () => this.#address.view,
    range: () => this.#range,
    now: () => this.#banner.now,
    endpointUrl: () => this.#connection.endpointUrl,
    onOpen: session => this.#details.open(session),
    onShown: (sessions, more) => this.#clients.update(sessions, more)
  })
  readonly #clients = new ClientsTab(text => this.#narrow(text))
  readonly #people = new People({
    api: this.#api,
    onChoose: principal => this.#goTo({ principal }),
    onKnown: principal => this.#form.offer({ principal })
  })
  readonly #subject = new SubjectPage({
    api: this.#api,
    mayWrite: () => this.#connection.mayWrite,
    query: () => ({ ...this.#sessions.query, transport: undefined, upstream: undefined }),
    onOpen: session => this.#details.open(session),
    onSubject: subject => this.#goTo(subject),
    onEndpoint: endpointId => this.#address.go({ endpointId }),
    onText: text => this.#narrow(text),
    onDone: text => this.#done(text),
    onRenamed: principal => this.#goTo({ principal })
  })
  readonly #details = new Details({
    api: this.#api,
    address: this.#address,
    toast: this.#toast,
    listed: key => this.#sessions.get(key),
    mayAsk: () => !this.#connection.isEntering,
    mayEnd: () => this.#connection.mayWrite,
    onSubject: subject => this.#goTo(subject)
  })
  readonly #endpointsPace = new Pace(ENDPOINTS_MS, () => this.#askEndpoints())
  #isLive = false
  /** The endpoint that is watched; undefined: all. */
  #watched: string | undefined

  start(): void {
    startConfirm()
    startZone(byId('zone', HTMLButtonElement), () => this.#repaint())
    startTheme(byId('theme', HTMLButtonElement), () => this.#overview.repaint())
    this.#startButtons()
    setInterval(() => this.#tick(), TICK_MS)
    this.#connection.every(GATEWAYS_MS, async () => {
      if (this.#gateways.isShown) await this.#gateways.ask()
    })
    this.#connection.every(ONE_GATEWAY_MS, () => this.#gateways.ask())
    this.#connection.every(PEOPLE_MS, () => Promise.resolve(this.#peopleChanged()))
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden && this.#connection.isConnected) this.#readAll()
    })
    this.#watched = this.#address.view.endpointId
    this.#connection.watch(this.#watched)
    this.#show(this.#address.view)
    this.#connection.start()
  }

  #startButtons(): void {
    html('all-endpoints').addEventListener('click', () => this.#choose(undefined))
    html('subject-back').addEventListener('click', () => this.#goTo(undefined))
    html('pause').addEventListener('click', () => this.#pause(!this.#banner.isPaused))
    html('csv').addEventListener('click', () => void this.#download())
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
    const own = [this.#endpointsPart, this.#activityPart]
    return [
      ...own,
      ...[this.#overview, this.#gateways, this.#sessions, this.#people, this.#subject].map(p => p.part)
    ]
  }

  /** The range that is shown; it stands still with the page. */
  get #range(): ShownRange {
    return rangeAt(this.#address.view.range, this.#banner.now)
  }

  #readAll(): void {
    const { endpointId } = this.#address.view
    this.#endpointsPace.now()
    this.#overview.read(endpointId)
    this.#sessions.read()
    this.#people.read(endpointId)
    this.#subject.changed()
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
    this.#endpointsPace.soon()
    this.#overview.changed()
    this.#peopleChanged()
  }

  #peopleChanged(): void {
    if (this.#banner.isPaused) return
    this.#people.changed()
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
    const { endpointId, filters, range, sorting, tab } = view
    const { principal, conversation } = filters
    const subject =
      principal !== undefined ? { principal } : conversation !== undefined ? { conversation } : undefined
    setText(html('scope'), endpointId ?? texts.allEndpoints)
    html('all-endpoints').hidden = endpointId === undefined
    setFlag(document.body, 'of-subject', subject !== undefined)
    this.#endpoints.choose(endpointId)
    this.#actions.choose(endpointId)
    this.#picker.show(range)
    this.#form.show(view)
    this.#heads.show(sorting)
    this.#showTab(tab)
    this.#people.look(tab === 'people')
    this.#clients.look(tab === 'clients')
    this.#sessions.look()
    this.#subject.look(subject)
  }

  #choose(endpointId: string | undefined): void {
    this.#address.go({ endpointId })
  }

  /** The page of a principal or conversation; undefined: back to all. */
  #goTo(subject: Subject | undefined): void {
    const state = subject ? 'all' : 'open'
    this.#address.go({ session: undefined, tab: 'sessions', filters: { ...noFilters, ...subject, state } })
  }

  #sort(column: ColumnName): void {
    this.#address.go({ sorting: chooseColumn(this.#address.view.sorting, column) })
  }

  /** Lists those sessions that have this text. */
  #narrow(text: string): void {
    this.#address.go({ tab: 'sessions', filters: { ...this.#address.view.filters, text } })
  }

  #pause(on: boolean): void {
    if (on === this.#banner.isPaused) return
    this.#connection.pause(on)
    setText(html('pause'), on ? texts.page.resume : texts.page.pause)
    html('pause').setAttribute('aria-pressed', String(on))
    if (!on) this.#readAll()
  }

  async #download(): Promise<void> {
    const button = byId('csv', HTMLButtonElement)
    button.disabled = true
    try {
      await downloadCsv(this.#api, this.#sessions.query)
    } catch (error) {
      this.#toast.show(texts.notDone(failureText(error)))
    }
    button.disabled = false
  }

  /** Something was done; the page shows it soon. */
  #done(text: string): void {
    this.#toast.show(text)
    this.#readAll()
  }

  async #askEndpoints(): Promise<void> {
    if (document.hidden) return
    const asked = () => this.#api.get<EndpointInfo[]>('/api/mcp/endpoints')
    const endpoints = await this.#endpointsPart.reading(asked)
    this.#endpoints.show(endpoints)
    this.#actions.update(endpoints)
    this.#form.offer({ endpoint: this.#endpoints.shown })
  }

  #repaint(): void {
    this.#overview.repaint()
    this.#sessions.repaint()
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
