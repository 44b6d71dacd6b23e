// Owns which sessions are listed: those that are open, kept live, or those of the range that is shown, as the filters say.
import type { ClosedNotice, ConnectionInfo, ConnectionStats } from '../admin/schemas/monitoring-responses.js'
import type { Api } from './api.js'
import { html, setText } from './dom.js'
import { asked, isNarrowed, matcher } from './filters.js'
import { countText } from './format.js'
import { MAX_LISTED, OpenSessions } from './open-sessions.js'
import { Pace } from './pace.js'
import { Part } from './part.js'
import { type PastQuery, PastSessions } from './past-sessions.js'
import type { ShownRange } from './range.js'
import type { ListedSession } from './sessions.js'
import { isDefault, sorted } from './sorting.js'
import { SessionTable } from './table.js'
import { texts } from './texts.js'
import type { View } from './view.js'

/** How often all open sessions are read again. Chosen: the live connection reports the use of the newest ones only. */
const OPEN_MS = 15_000
/** How often the sessions of a range are read again after a failure at most. Chosen. */
const PAST_MS = 1_000
/** How often the table is drawn at most. Chosen: as often as rooms are sent their state. */
const SHOW_MS = 250
/** A live range is asked for up to a second from now; what opens later comes over the live connection. */
const MARGIN_MS = 1_000

/** What the list reads from. */
export interface SessionListOptions {
  api: Api
  view: () => View
  range: () => ShownRange
  /** The moment that the page shows, in epoch ms. */
  now: () => number
  /** Where clients connect, once it is known. */
  endpointUrl: () => string | undefined
  onOpen: (session: ListedSession) => void
  /** Other sessions are listed; `more`: there are others that were not read. */
  onShown: (sessions: readonly ListedSession[], more: boolean) => void
}

/** The list with its table. */
export class SessionList {
  readonly #options: SessionListOptions
  readonly #open: OpenSessions
  readonly #past: PastSessions
  readonly #table: SessionTable
  readonly #openPace = new Pace(OPEN_MS, () => this.#readOpen())
  readonly #pastPace = new Pace(PAST_MS, () => this.#readPast())
  readonly #showPace = new Pace(SHOW_MS, () => Promise.resolve(this.#show()))
  /** Which of the two lists could be read. */
  readonly #isKnown = { open: false, past: false }
  /** How many are open; undefined until it is known. */
  #active: number | undefined
  #endpointId: string | undefined
  /** What the sessions of the range were asked for by, as JSON. */
  #pastAsked = ''
  readonly part = new Part(html('sessions'), html('filters'))

  constructor(options: SessionListOptions) {
    this.#options = options
    this.#open = new OpenSessions(options.api)
    this.#past = new PastSessions(options.api)
    this.#table = new SessionTable(html('grid'), html('grid-head'), html('grid-body'), {
      now: options.now,
      onOpen: options.onOpen,
      onEnd: () => this.#readMore()
    })
    // The heads of the columns stay below the filters.
    new ResizeObserver(() =>
      html('sessions').style.setProperty('--filters-height', `${html('filters').offsetHeight}px`)
    ).observe(html('filters'))
  }

  /** The session with this `listKey`; undefined if it is not listed. */
  get(key: string): ListedSession | undefined {
    return this.#open.get(key) ?? this.#past.get(key)
  }

  /** What the list asks of the history, also while it shows open sessions. */
  get query(): PastQuery {
    const { start, end, isLive } = this.#options.range()
    const { endpointId, filters } = this.#options.view()
    return {
      start: Math.floor(start),
      end: Math.floor(isLive ? end + MARGIN_MS : end),
      endpointId,
      transport: filters.transport,
      upstream: filters.upstream,
      principal: asked(filters.principal),
      conversation: asked(filters.conversation)
    }
  }

  /** Reads all again. */
  read(): void {
    const { endpointId } = this.#options.view()
    if (endpointId !== this.#endpointId) this.#isKnown.open = false
    this.#endpointId = endpointId
    this.#openPace.now()
    this.#pastPace.now()
  }

  /** The reader looks at something else, perhaps at other sessions. */
  look(): void {
    const { range, filters } = this.#options.view()
    const pastAsked = JSON.stringify([range, { ...this.query, start: 0, end: 0 }, this.#listed])
    if (pastAsked !== this.#pastAsked) {
      this.#pastAsked = pastAsked
      this.#table.rewind()
      this.#isKnown.past = false
      this.#past.clear()
      if (filters.state !== 'open') this.#pastPace.now()
    }
    this.#showPace.now()
  }

  /** A state came over the live connection. */
  stats(stats: ConnectionStats): void {
    this.#active = stats.activeConnections
    if (this.#open.update(stats, Date.now())) this.#openPace.soon()
    this.changed()
  }

  /** A session opened. */
  opened(info: ConnectionInfo): ListedSession {
    const session = this.#open.opened(info)
    this.#table.notice(session.key)
    this.#note(session)
    this.changed()
    return session
  }

  /** A session ended. Returns it with its end; undefined if it was not listed. */
  closed({ endpointId, sessionId, duration, reason }: ClosedNotice): ListedSession | undefined {
    const session = this.#open.closed(endpointId, sessionId)
    this.changed()
    if (!session) return undefined
    const ended = { ...session, ended: { at: session.connectedAt + duration, reason } }
    this.#note(ended)
    return ended
  }

  /** Shown soon. */
  changed(): void {
    this.#showPace.soon()
  }

  /** A second has passed. */
  tick(): void {
    this.#table.tick()
  }

  /** The language or time zone changed. */
  repaint(): void {
    this.#table.repaint()
  }

  /** What is seen live is in the range if that goes on until now. */
  #note(session: ListedSession): void {
    if (this.#options.range().isLive) this.#past.note(session)
  }

  async #readOpen(): Promise<void> {
    if (document.hidden) return
    if (await this.#reading('open', () => this.#open.load(this.#endpointId))) this.#isKnown.open = true
  }

  async #readPast(): Promise<void> {
    if (this.#listed === 'open') return
    if (await this.#reading('past', () => this.#past.load(this.query))) this.#isKnown.past = true
  }

  #readMore(): void {
    if (this.#listed === 'open' || !this.#past.hasMore || this.part.isFailing) return
    this.#reading('past', () => this.#past.more()).catch(() => this.#pastPace.soon())
  }

  /** Shows a failure where the list that failed is the one that is looked at. */
  async #reading<T>(list: 'open' | 'past', read: () => Promise<T>): Promise<T> {
    try {
      return await (list === this.#listed ? this.part.reading(read) : read())
    } finally {
      this.changed()
    }
  }

  get #listed(): 'open' | 'past' {
    return this.#options.view().filters.state === 'open' ? 'open' : 'past'
  }

  #show(): void {
    const { filters, sorting, tab } = this.#options.view()
    const { state } = filters
    const isSet = isNarrowed(filters)
    const known =
      state === 'open'
        ? this.#open.list()
        : this.#past.list().map(session => this.#open.get(session.key) ?? session)
    const ofState = state === 'ended' ? known.filter(({ ended }) => ended) : known
    const shown = isSet ? ofState.filter(matcher(filters)) : ofState
    const hasMore = state !== 'open' && this.#past.hasMore
    this.#table.show(sorted(shown, sorting, this.#options.now()))
    const isCut = state === 'open' ? (this.#active ?? 0) > MAX_LISTED : this.#past.isCut
    this.#options.onShown(shown, hasMore || isCut)
    const more = hasMore ? '+' : ''
    const of = isSet ? countText(ofState.length) + more : undefined
    const count = countText(shown.length) + (isSet ? '' : more)
    setText(html('shown'), this.#isKnown[this.#listed] ? texts.shown[state](count, of, isCut) : '')
    const isEmpty = shown.length === 0
    html('empty').hidden = !isEmpty
    if (isEmpty) setText(html('empty'), this.#whyEmpty(ofState.length > 0))
    // What is not read yet may belong to the top, or be counted.
    if (hasMore && (!isDefault(sorting) || tab === 'clients')) this.#readMore()
  }

  #whyEmpty(isFiltered: boolean): string {
    if (isFiltered) return texts.noMatch
    if (!this.#isKnown[this.#listed]) return this.part.isFailing ? texts.listNotRead : texts.reading
    if (this.#listed === 'past') return texts.noneInRange
    return texts.nobodyConnected(this.#options.endpointUrl())
  }
}
