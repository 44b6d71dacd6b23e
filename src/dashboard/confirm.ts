// Owns the question before something that cannot be taken back.
import { byId, html, setText } from './dom.js'

/** What is asked. */
export interface Question {
  title: string
  /** What follows from it. */
  text: string
  /** The buttons. */
  yes: string
  no: string
}

let answer: ((isYes: boolean) => void) | undefined

/** Whether the reader wants it. */
export function confirmed({ title, text, yes, no }: Question): Promise<boolean> {
  finish(false)
  setText(html('confirm-title'), title)
  setText(html('confirm-text'), text)
  setText(html('confirm-yes'), yes)
  setText(html('confirm-no'), no)
  byId('confirm', HTMLDialogElement).showModal()
  return new Promise(resolve => (answer = resolve))
}

function finish(isYes: boolean): void {
  byId('confirm', HTMLDialogElement).close()
  answer?.(isYes)
  answer = undefined
}

/** Makes its buttons work; called once. */
export function startConfirm(): void {
  const dialog = byId('confirm', HTMLDialogElement)
  dialog.addEventListener('click', ({ target }) => {
    if (target === dialog || target === html('confirm-no')) finish(false)
    if (target === html('confirm-yes')) finish(true)
  })
  // The event comes late: the next question may be open by then.
  dialog.addEventListener('close', () => {
    if (!dialog.open) finish(false)
  })
}
