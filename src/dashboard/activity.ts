// Owns the list of notices (sessions that opened or ended), and a short summary of it for screen readers.
import type { ClosedNotice } from '../admin/schemas/monitoring-responses.js'
import { el, setText } from './dom.js'
import { clockText, countText, durationText, reasonText } from './format.js'
import { clientLabel, type ListedSession } from './sessions.js'
import { texts } from './texts.js'

/** How many notices the list keeps. Chosen: more than people read. */
const MAX_SHOWN = 40
/** How often the summary for screen readers changes. Chosen: more often would interrupt their users. */
const SUMMARY_MS = 5_000

/** The newest notices. */
export class Activity {
  readonly #list: HTMLElement
  readonly #empty: HTMLElement
  readonly #spoken: HTMLElement
  readonly #onOpen: (key: string) => void
  #waiting: HTMLElement[] = []
  /** The name of a client may come after the notice of its session. */
  #named: { button: HTMLElement; session: ListedSession }[] = []
  #opened = 0
  #closed = 0

  constructor(list: HTMLElement, empty: HTMLElement, spoken: HTMLElement, onOpen: (key: string) => void) {
    this.#list = list
    this.#empty = empty
    this.#spoken = spoken
    this.#onOpen = onOpen
    setInterval(() => this.#summarize(), SUMMARY_MS)
  }

  /** A session opened. */
  opened(session: ListedSession): void {
    this.#opened++
    const button = el('button', { type: 'button', class: 'link' }, clientLabel(session))
    this.#named.unshift({ button, session })
    this.#named.length = Math.min(this.#named.length, MAX_SHOWN)
    button.addEventListener('click', () => this.#onOpen(session.key))
    this.#note('opened', Date.now(), button, texts.joined(session.endpointId))
  }

  /** A session ended; `session`: undefined for one that was not listed. */
  closed(closed: ClosedNotice, session: ListedSession | undefined): void {
    this.#closed++
    const name = session ? clientLabel(session) : texts.aSession
    const text = texts.left(closed.endpointId, durationText(closed.duration))
    const tag = el('span', { class: 'tag', title: reasonText(closed.reason) }, closed.reason)
    this.#note('closed', Date.parse(closed.timestamp), el('b', {}, name), text, tag)
  }

  /** Times are told in another zone. */
  repaint(): void {
    for (const time of this.#list.querySelectorAll('time'))
      setText(time, clockText(Date.parse(time.dateTime)))
  }

  /** Names of clients may be known now. */
  tick(): void {
    for (const { button, session } of this.#named) setText(button, clientLabel(session))
  }

  /** Another endpoint is watched. */
  clear(): void {
    this.#named = []
    this.#waiting = []
    this.#list.replaceChildren()
    this.#empty.hidden = false
  }

  #note(kind: string, at: number, name: HTMLElement, text: string, ...more: HTMLElement[]): void {
    const datetime = new Date(at).toISOString()
    const time = el('time', { class: 'number', datetime }, clockText(at))
    const what = el('span', { class: 'what' }, name, ` ${text} `, ...more)
    this.#waiting.unshift(el('li', { class: kind }, el('span', { class: 'dot' }), what, time))
    this.#waiting.length = Math.min(this.#waiting.length, MAX_SHOWN)
    if (this.#waiting.length === 1) requestAnimationFrame(() => this.#show())
  }

  #show(): void {
    this.#empty.hidden = true
    this.#list.prepend(...this.#waiting)
    this.#waiting = []
    while (this.#list.childElementCount > MAX_SHOWN) this.#list.lastElementChild?.remove()
  }

  #summarize(): void {
    if (this.#opened + this.#closed === 0) return
    setText(this.#spoken, texts.openedAndClosed(countText(this.#opened), countText(this.#closed)))
    this.#opened = this.#closed = 0
  }
}
