// Owns the table of sessions: only the rows in sight are in the page (a virtual list), and the reader's place is kept while it
// changes.
import { el, setFlag, setText } from './dom.js'
import { bytesText, clockText, countText, durationText, reasonText } from './format.js'
import { clientLabel, personLabel, type ListedSession } from './sessions.js'
import { texts } from './texts.js'

/** Rows in the page beyond those in sight, on either side. Chosen: enough for fast scrolling. */
const OVERSCAN = 8
const ACTIVE_ID = 'active-session'
/** A session that was used within this time is shown as busy. Chosen. */
const BUSY_MS = 5_000
/** As long as the animation of a new row. */
const FRESH_MS = 2_500

/** What the reader does with the table. */
export interface TableHandlers {
  /** The moment that the table shows, in epoch ms. */
  now: () => number
  onOpen: (session: ListedSession) => void
  /** The last rows come into sight. */
  onEnd: () => void
}

/** The table, with keyboard and pointer. */
export class SessionTable {
  readonly #grid: HTMLElement
  readonly #head: HTMLElement
  readonly #body: HTMLElement
  readonly #handlers: TableHandlers
  readonly #views = new Map<string, RowView>()
  #sessions: readonly ListedSession[] = []
  #activeKey: string | undefined
  #rowHeight = 0
  #framePending = false
  /** Those that just opened. */
  readonly #fresh = new Set<string>()

  constructor(grid: HTMLElement, head: HTMLElement, body: HTMLElement, handlers: TableHandlers) {
    this.#grid = grid
    this.#head = head
    this.#body = body
    this.#handlers = handlers
    addEventListener('scroll', () => this.#renderSoon(), { passive: true })
    new ResizeObserver(() => this.#measure()).observe(grid)
    addEventListener('resize', () => this.#renderSoon())
    grid.addEventListener('keydown', event => this.#onKey(event))
    grid.addEventListener('focus', () => this.#activate(this.#activeIndex(), false))
    body.addEventListener('click', event => {
      const key = (event.target as Element).closest<HTMLElement>('[role=row]')?.dataset['key']
      const index = this.#sessions.findIndex(session => session.key === key)
      const session = this.#sessions[index]
      if (!session) return
      this.#activate(index, false)
      this.#handlers.onOpen(session)
    })
  }

  /** Shows these sessions, in this order. */
  show(sessions: readonly ListedSession[]): void {
    const anchor = this.#anchor()
    this.#sessions = sessions
    this.#grid.setAttribute('aria-rowcount', String(sessions.length + 1))
    this.#measure()
    if (anchor) this.#keepPlace(anchor)
    this.#render()
  }

  /** A session just opened: its row is highlighted for a moment. */
  notice(key: string): void {
    this.#fresh.add(key)
    setTimeout(() => this.#fresh.delete(key), FRESH_MS)
  }

  /** Back to the first row. */
  rewind(): void {
    const above = this.#top()
    if (above < 0) scrollBy({ top: above, behavior: 'instant' })
  }

  tick(): void {
    const now = this.#handlers.now()
    for (const view of this.#views.values()) view.tick(now)
  }

  /** Texts read otherwise now. */
  repaint(): void {
    this.#render()
  }

  #measure(): void {
    this.#rowHeight = parseFloat(getComputedStyle(this.#grid).getPropertyValue('--row-height'))
    this.#body.style.height = `${this.#sessions.length * this.#rowHeight}px`
    this.#renderSoon()
  }

  /** Where the rows begin, seen from the lower edge of the head; negative once they are scrolled. */
  #top(): number {
    return this.#body.getBoundingClientRect().top - this.#headBottom()
  }

  /** On phones the head does not stay. */
  #headBottom(): number {
    return Math.max(0, this.#head.getBoundingClientRect().bottom)
  }

  /** The first rows in sight, if others are above them: one of them stays where it is. */
  #anchor(): { keys: string[]; first: number } | undefined {
    const top = this.#top()
    if (top > -1) return undefined
    const first = Math.floor(-top / this.#rowHeight)
    return { keys: this.#sessions.slice(first, first + 50).map(({ key }) => key), first }
  }

  #keepPlace({ keys, first }: { keys: string[]; first: number }): void {
    const places = new Map(this.#sessions.map(({ key }, index) => [key, index]))
    const offset = keys.findIndex(key => places.has(key))
    if (offset === -1) return
    const place = places.get(keys[offset]!)!
    const moved = (place - first - offset) * this.#rowHeight
    if (moved !== 0) scrollBy({ top: moved, behavior: 'instant' })
  }

  #renderSoon(): void {
    if (this.#framePending) return
    this.#framePending = true
    requestAnimationFrame(() => {
      this.#framePending = false
      this.#render()
    })
  }

  #render(): void {
    if (this.#rowHeight === 0) return
    const above = Math.floor(-this.#top() / this.#rowHeight)
    const inSight = Math.ceil(innerHeight / this.#rowHeight)
    const first = Math.max(0, above - OVERSCAN)
    const last = Math.min(this.#sessions.length, Math.max(0, above + inSight) + OVERSCAN)
    const wanted = this.#sessions.slice(first, last)
    const keys = new Set(wanted.map(({ key }) => key))
    const spare: RowView[] = []
    for (const [key, view] of this.#views) {
      if (keys.has(key)) continue
      this.#views.delete(key)
      spare.push(view)
    }
    const now = this.#handlers.now()
    let next = this.#body.firstElementChild
    for (const [offset, session] of wanted.entries()) {
      let view = this.#views.get(session.key)
      if (!view) {
        view = spare.pop() ?? new RowView()
        this.#views.set(session.key, view)
      }
      const index = first + offset
      view.show(session, index, index * this.#rowHeight, now)
      const isActive = session.key === this.#activeKey
      setFlag(view.element, 'active', isActive)
      view.element.id = isActive ? ACTIVE_ID : ''
      setFlag(view.element, 'fresh', this.#fresh.has(session.key))
      if (view.element === next) next = next.nextElementSibling
      else this.#body.insertBefore(view.element, next)
    }
    for (const view of spare) view.element.remove()
    if (this.#activeKey !== undefined && keys.has(this.#activeKey))
      this.#grid.setAttribute('aria-activedescendant', ACTIVE_ID)
    else this.#grid.removeAttribute('aria-activedescendant')
    if (last === this.#sessions.length) this.#handlers.onEnd()
  }

  #activeIndex(): number {
    const index = this.#sessions.findIndex(({ key }) => key === this.#activeKey)
    return index >= 0 ? index : Math.max(0, Math.ceil(-this.#top() / this.#rowHeight))
  }

  #activate(index: number, intoSight: boolean): void {
    const session = this.#sessions[Math.max(0, Math.min(index, this.#sessions.length - 1))]
    this.#activeKey = session?.key
    if (session && intoSight) {
      const top = this.#top() + this.#sessions.indexOf(session) * this.#rowHeight
      const room = innerHeight - this.#headBottom() - this.#rowHeight
      if (top < 0) scrollBy({ top, behavior: 'instant' })
      else if (top > room) scrollBy({ top: top - room, behavior: 'instant' })
    }
    this.#render()
  }

  #onKey(event: KeyboardEvent): void {
    // The heads of the columns have keys of their own.
    if (event.target !== this.#grid) return
    const at = this.#activeIndex()
    const page = Math.max(1, Math.floor(innerHeight / this.#rowHeight) - 4)
    const target: Record<string, number> = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: this.#sessions.length - 1
    }
    const to = target[event.key]
    if (to !== undefined) this.#activate(to, true)
    else if (event.key === 'Enter' || event.key === ' ') {
      const session = this.#sessions[at]
      if (session) this.#handlers.onOpen(session)
    } else return
    event.preventDefault()
  }
}

/** One row in the page; shows one session after the other. */
class RowView {
  readonly element: HTMLElement
  readonly #name = el('span', { class: 'name' })
  readonly #version = el('span', { class: 'version' })
  readonly #person = el('span', { class: 'person' })
  readonly #endpoint = el('span', { role: 'gridcell', class: 'endpoint' })
  readonly #transport = el('span', { class: 'tag' })
  readonly #address = el('span', { role: 'gridcell', class: 'address mono' })
  readonly #opened = el('span', { role: 'gridcell', class: 'opened number' })
  readonly #duration = el('span', { role: 'gridcell', class: 'duration number' })
  readonly #requests = el('span', { role: 'gridcell', class: 'requests number' })
  readonly #calls = el('span', { role: 'gridcell', class: 'calls number' })
  readonly #errors = el('span', { role: 'gridcell', class: 'errors number' })
  readonly #bytes = el('span', { role: 'gridcell', class: 'bytes number' })
  readonly #state = el('span', { class: 'state-text' })
  #session: ListedSession | undefined

  constructor() {
    this.element = el(
      'div',
      { role: 'row', class: 'row' },
      el('span', { role: 'gridcell', class: 'client' }, this.#name, this.#version, this.#person),
      this.#endpoint,
      el('span', { role: 'gridcell', class: 'transport' }, this.#transport),
      this.#address,
      this.#opened,
      this.#duration,
      this.#requests,
      this.#calls,
      this.#errors,
      this.#bytes,
      el('span', { role: 'gridcell', class: 'state' }, el('span', { class: 'dot' }), this.#state)
    )
  }

  show(session: ListedSession, index: number, top: number, now: number): void {
    const { element } = this
    element.style.transform = `translateY(${top}px)`
    element.setAttribute('aria-rowindex', String(index + 2))
    element.dataset['key'] = session.key
    this.#session = session
    setText(this.#name, clientLabel(session))
    setText(this.#version, session.clientVersion ?? '')
    setText(this.#person, personLabel(session))
    setText(this.#endpoint, session.endpointId)
    setText(this.#transport, texts.transports[session.transport])
    setText(this.#address, session.address)
    setText(this.#opened, clockText(session.connectedAt))
    setText(this.#requests, countText(session.requestCount))
    setText(this.#calls, countText(session.callCount))
    setText(this.#errors, countText(session.errorCount))
    setFlag(this.#errors, 'some', session.errorCount > 0)
    this.#errors.title = session.unreadCount > 0 ? texts.andUnread(countText(session.unreadCount)) : ''
    setText(this.#bytes, bytesText(session.bytesIn + session.bytesOut))
    this.#bytes.title = texts.bytesBothWays(bytesText(session.bytesIn), bytesText(session.bytesOut))
    this.tick(now)
  }

  tick(now: number): void {
    const session = this.#session
    if (!session) return
    const { connectedAt, lastSeenAt, ended } = session
    setText(this.#duration, durationText((ended?.at ?? now) - connectedAt))
    const quietMs = now - lastSeenAt
    const openText = quietMs < BUSY_MS ? texts.active : texts.quiet(durationText(quietMs))
    setText(this.#state, ended ? ended.reason : openText)
    this.#state.title = ended ? reasonText(ended.reason) : ''
    setFlag(this.element, 'ended', ended !== null)
    setFlag(this.element, 'busy', ended === null && quietMs < BUSY_MS)
  }
}
