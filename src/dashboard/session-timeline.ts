// Owns the timeline of sessions: a bar for each, from its opening to its end, over the range that is shown, by endpoint.
import { el } from './dom.js'
import { countText, durationText, minuteOrDayText, minuteText, reasonText } from './format.js'
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

interface Range {
  /** In epoch ms. */
  start: number
  end: number
}

/** The bars, as buttons that open the session. */
export class SessionTimeline {
  readonly #host: HTMLElement
  readonly #readout = el('p', { class: 'readout' })
  readonly #onOpen: (session: ListedSession) => void

  constructor(host: HTMLElement, onOpen: (session: ListedSession) => void) {
    this.#host = host
    this.#onOpen = onOpen
    for (const type of ['pointerover', 'focusin', 'pointerleave', 'focusout'])
      host.addEventListener(type, event => this.#showReadout(event))
    this.#explain()
  }

  show(sessions: readonly ListedSession[], range: Range): void {
    const byEndpoint = new Map<string, ListedSession[]>()
    for (const session of [...sessions].sort((a, b) => a.connectedAt - b.connectedAt)) {
      const group = byEndpoint.get(session.endpointId)
      if (group) group.push(session)
      else byEndpoint.set(session.endpointId, [session])
    }
    const groups = [...byEndpoint]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([endpointId, ofEndpoint]) => [
        el('h3', { class: 'lane-name', title: endpointId }, endpointId),
        this.#bars(ofEndpoint, range)
      ])
    const focused = this.#host.querySelector<HTMLElement>('button:focus')?.dataset['key']
    this.#host.replaceChildren(
      this.#readout,
      el('div', { class: 'bars-box' }, ...groups),
      el('div', { class: 'ticks', 'aria-hidden': 'true' }, ...ticks(range))
    )
    const again = [...this.#host.querySelectorAll('button')].find(({ dataset }) => dataset['key'] === focused)
    if (focused !== undefined) again?.focus({ preventScroll: true })
  }

  /** `sessions`: of one endpoint, by their opening. */
  #bars(sessions: readonly ListedSession[], { start: from, end: to }: Range): HTMLElement {
    const lengthMs = Math.max(1, to - from)
    const minMs = lengthMs * MIN_SHARE
    const bars = sessions.map(({ connectedAt, ended }) => {
      // One that just opened is seen too, at the very end.
      const start = Math.min(Math.max(connectedAt, from), to - minMs)
      const end = Math.min(ended?.at ?? to, to)
      return { start, end: Math.max(end, start + minMs) }
    })
    const lanes = lanesOf(bars, minMs)
    const share = (ms: number): string => `${(ms / lengthMs) * 100}%`
    const items = sessions.map((session, i) => {
      const { start, end } = bars[i]!
      const button = el('button', {
        type: 'button',
        class: `span ${session.ended ? 'ended' : 'open'}${session.errorCount > 0 ? ' failed' : ''}`,
        'aria-label': [clientLabel(session), session.endpointId, ...factsOf(session)].join(' · '),
        'data-key': session.key
      })
      button.style.insetInlineStart = share(start - from)
      button.style.width = share(end - start)
      button.style.top = `${lanes[i]! * LANE_PX}px`
      button.addEventListener('click', () => this.#onOpen(session))
      return el('li', {}, button)
    })
    const list = el('ol', { class: 'bars' }, ...items)
    list.style.height = `${(Math.max(-1, ...lanes) + 1) * LANE_PX}px`
    return list
  }

  /** Says what the bar is that is pointed at. */
  #showReadout({ type, target }: Event): void {
    const label = (target as Element).getAttribute('aria-label')
    if (type === 'pointerleave' || type === 'focusout' || label === null) return this.#explain()
    const [client = '', ...facts] = label.split(' · ')
    this.#readout.replaceChildren(el('b', {}, client), ...facts.map(fact => el('span', {}, fact)))
  }

  #explain(): void {
    const { open, ended, failed } = texts.bars
    const names = Object.entries({ open, ended, failed })
    this.#readout.replaceChildren(
      ...names.map(([name, text]) => el('span', { class: 'part' }, el('i', { class: `span ${name}` }), text))
    )
  }
}

function ticks({ start, end }: Range): HTMLElement[] {
  const text = end - start > DAY_MS ? minuteText : minuteOrDayText
  return Array.from({ length: TICKS }, (_, i) =>
    el('span', { class: 'number' }, text(start + ((end - start) * i) / (TICKS - 1)))
  )
}

function factsOf({ connectedAt, ended, ...session }: ListedSession): string[] {
  const { requestCount, callCount, errorCount } = session
  const duration = durationText((ended?.at ?? Date.now()) - connectedAt)
  return [
    minuteText(connectedAt),
    ended ? `${texts.endedAfter(duration)}: ${reasonText(ended.reason)}` : texts.openFor(duration),
    texts.requests(requestCount, countText(requestCount)),
    texts.calls(countText(callCount)),
    texts.errors(countText(errorCount))
  ]
}
