// Owns the timeline of sessions: a bar for each, from its opening to its end, over the range that is shown.
import { el } from './dom.js'
import { durationText, minuteOrDayText, minuteText } from './format.js'
import { lanesOf } from './lanes.js'
import { DAY_MS } from './range.js'
import { clientLabel, type ListedSession } from './sessions.js'
import { texts } from './texts.js'

/** The height of a lane, in CSS pixels. Chosen: a bar can be hit by a finger that zooms in. */
const LANE_PX = 18
/** The least width of a bar, and the gap between two, as parts of the range. Chosen: short sessions stay visible. */
const MIN_SHARE = 0.004
/** Times that are written below. Chosen. */
const TICKS = 5

/** The bars, as buttons that open the session. */
export class SessionTimeline {
  readonly #host: HTMLElement
  readonly #onOpen: (session: ListedSession) => void

  constructor(host: HTMLElement, onOpen: (session: ListedSession) => void) {
    this.#host = host
    this.#onOpen = onOpen
  }

  /** `range` in epoch ms. */
  show(sessions: readonly ListedSession[], range: { start: number; end: number }): void {
    const lengthMs = Math.max(1, range.end - range.start)
    const ordered = [...sessions].sort((a, b) => a.connectedAt - b.connectedAt)
    const bars = ordered.map(({ connectedAt, ended }) => {
      const start = Math.max(connectedAt, range.start)
      const end = Math.min(ended?.at ?? range.end, range.end)
      return { start, end: Math.max(end, start + lengthMs * MIN_SHARE) }
    })
    const lanes = lanesOf(bars, lengthMs * MIN_SHARE)
    const share = (ms: number): string => `${(ms / lengthMs) * 100}%`
    const items = ordered.map((session, i) => {
      const { start, end } = bars[i]!
      const button = el('button', {
        type: 'button',
        class: session.ended ? 'span ended' : 'span',
        title: titleOf(session),
        'aria-label': titleOf(session),
        'data-key': session.key
      })
      button.style.insetInlineStart = share(start - range.start)
      button.style.width = share(end - start)
      button.style.top = `${lanes[i]! * LANE_PX}px`
      button.addEventListener('click', () => this.#onOpen(session))
      return el('li', {}, button)
    })
    const list = el('ol', { class: 'bars' }, ...items)
    list.style.height = `${(Math.max(-1, ...lanes) + 1) * LANE_PX}px`
    const ticks = Array.from({ length: TICKS }, (_, i) => {
      const at = range.start + (lengthMs * i) / (TICKS - 1)
      return el('span', { class: 'number' }, lengthMs > DAY_MS ? minuteText(at) : minuteOrDayText(at))
    })
    const focused = this.#host.querySelector<HTMLElement>('button:focus')?.dataset['key']
    this.#host.replaceChildren(
      el('div', { class: 'bars-box' }, list),
      el('div', { class: 'ticks', 'aria-hidden': 'true' }, ...ticks)
    )
    const again = [...list.querySelectorAll('button')].find(({ dataset }) => dataset['key'] === focused)
    if (focused !== undefined) again?.focus({ preventScroll: true })
  }
}

function titleOf(session: ListedSession): string {
  const { connectedAt, ended, endpointId } = session
  const duration = durationText((ended?.at ?? Date.now()) - connectedAt)
  const what = ended ? texts.endedAfter(duration) : texts.openFor(duration)
  return `${clientLabel(session)} · ${endpointId} · ${minuteText(connectedAt)} · ${what}`
}
