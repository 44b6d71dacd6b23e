// Owns the time range that chart and history are about: the last hours up to now, or a part that was chosen.
import { byId, html, setFlag, setText } from './dom.js'
import { minuteText } from './format.js'

const HOUR_MS = 3_600_000

/** In epoch ms. */
export interface Range {
  start: number
  end: number
  /** Its end moves with the time. */
  isLive: boolean
}

export class RangePicker {
  readonly #form = byId('range', HTMLFormElement)
  readonly #zoom = byId('zoom', HTMLButtonElement)
  readonly #dialog = byId('custom-range', HTMLDialogElement)
  readonly #onChange: () => void
  #chosen: { start: number; end: number } | undefined

  constructor(onChange: () => void) {
    this.#onChange = onChange
    this.#form.addEventListener('change', () => this.choose(undefined))
    this.#zoom.addEventListener('click', () => {
      this.choose(undefined)
      this.#form.querySelector<HTMLInputElement>('input:checked')?.focus()
    })
    html('custom').addEventListener('click', () => this.#ask())
    byId('custom-form', HTMLFormElement).addEventListener('submit', event => {
      event.preventDefault()
      const [start, end] = [from().valueAsNumber, to().valueAsNumber].map(fromLocal)
      this.#dialog.close()
      this.choose({ start: start!, end: end! })
    })
    for (const input of [from(), to()])
      input.addEventListener('input', () =>
        to().setCustomValidity(to().valueAsNumber > from().valueAsNumber ? '' : 'The end is after the start.')
      )
    this.#dialog.addEventListener('click', event => {
      if ((event.target as Element).closest('[data-close]')) this.#dialog.close()
    })
  }

  get now(): Range {
    const now = Date.now()
    if (this.#chosen) return { ...this.#chosen, isLive: false }
    const hours = Number(new FormData(this.#form).get('hours'))
    return { start: now - hours * HOUR_MS, end: now, isLive: true }
  }

  /** Undefined: the last hours again. */
  choose(range: { start: number; end: number } | undefined): void {
    this.#chosen = range
    this.#zoom.hidden = range === undefined
    setFlag(this.#form, 'zoomed', range !== undefined)
    if (range) setText(html('zoom-text'), `${minuteText(range.start)} – ${minuteText(range.end)}`)
    this.#onChange()
  }

  #ask(): void {
    const { start, end } = this.now
    from().valueAsNumber = toLocal(start)
    to().valueAsNumber = toLocal(end)
    this.#dialog.showModal()
  }
}

const from = (): HTMLInputElement => byId('custom-from', HTMLInputElement)
const to = (): HTMLInputElement => byId('custom-to', HTMLInputElement)

/** The inputs hold local time as if it were UTC. */
const toLocal = (at: number): number => Math.floor((at - offsetMs(at)) / 60_000) * 60_000
const fromLocal = (local: number): number => local + offsetMs(local)
const offsetMs = (at: number): number => new Date(at).getTimezoneOffset() * 60_000
