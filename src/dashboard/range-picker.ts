// Owns how the reader chooses the time range: the last hours up to now, or a part of them.
import { byId, html, setFlag, setText } from './dom.js'
import { minuteText } from './format.js'
import { fromLocal, lastHours, type ShownRange, toLocal } from './range.js'
import { texts } from './texts.js'

/** The buttons, the dialog and the zoom of the chart that choose a range. */
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
        to().setCustomValidity(to().valueAsNumber > from().valueAsNumber ? '' : texts.endBeforeStart)
      )
    this.#dialog.addEventListener('click', event => {
      if ((event.target as Element).closest('[data-close]')) this.#dialog.close()
    })
  }

  /** The range as it is now. */
  get now(): ShownRange {
    if (this.#chosen) return { ...this.#chosen, isLive: false }
    return lastHours(Number(new FormData(this.#form).get('hours')), Date.now())
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
