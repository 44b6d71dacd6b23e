// Owns how the reader chooses the time range: the last minutes, hours or days up to now, or a part of them.
import { byId, html, setFlag, setText } from './dom.js'
import { minuteText } from './format.js'
import { fromLocal, type Last, lasts, type RangeChoice, toLocal } from './range.js'
import { texts } from './texts.js'
import { isUtc } from './zone.js'

/** What the picker needs. */
export interface RangePickerOptions {
  /** The range shown, in epoch ms. */
  shown: () => { start: number; end: number }
  onChoose: (choice: RangeChoice) => void
}

/** The buttons and the dialog that choose a range. */
export class RangePicker {
  readonly #options: RangePickerOptions
  readonly #form = byId('range', HTMLFormElement)
  readonly #zoom = byId('zoom', HTMLButtonElement)
  readonly #dialog = byId('custom-range', HTMLDialogElement)

  constructor(options: RangePickerOptions) {
    this.#options = options
    this.#form.addEventListener('change', () => options.onChoose(this.last))
    this.#zoom.addEventListener('click', () => {
      options.onChoose(this.last)
      this.#form.querySelector<HTMLInputElement>('input:checked')?.focus()
    })
    html('custom').addEventListener('click', () => this.#ask())
    byId('custom-form', HTMLFormElement).addEventListener('submit', event => {
      event.preventDefault()
      const [start, end] = [from(), to()].map(input => fromLocal(input.valueAsNumber, isUtc()))
      this.#dialog.close()
      options.onChoose({ start: start!, end: end! })
    })
    for (const input of [from(), to()])
      input.addEventListener('input', () =>
        to().setCustomValidity(to().valueAsNumber > from().valueAsNumber ? '' : texts.endBeforeStart)
      )
    this.#dialog.addEventListener('click', event => {
      if ((event.target as Element).closest('[data-close]')) this.#dialog.close()
    })
  }

  /** Shows what is chosen. */
  show(choice: RangeChoice): void {
    const isPart = !('last' in choice)
    this.#zoom.hidden = !isPart
    setFlag(this.#form, 'zoomed', isPart)
    if (isPart) setText(html('zoom-text'), `${minuteText(choice.start)} – ${minuteText(choice.end)}`)
    else this.#form.querySelector<HTMLInputElement>(`input[value='${choice.last}']`)!.checked = true
  }

  /** What the buttons say, also while a part is shown: where zooming out leads. */
  get last(): { last: Last } {
    const last = new FormData(this.#form).get('last') as string
    return { last: last in lasts ? (last as Last) : '1h' }
  }

  #ask(): void {
    const { start, end } = this.#options.shown()
    from().valueAsNumber = toLocal(start, isUtc())
    to().valueAsNumber = toLocal(end, isUtc())
    this.#dialog.showModal()
  }
}

const from = (): HTMLInputElement => byId('custom-from', HTMLInputElement)
const to = (): HTMLInputElement => byId('custom-to', HTMLInputElement)
