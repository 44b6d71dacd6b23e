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

/** Whether the reader wants it. */
export function confirmed({ title, text, yes, no }: Question): Promise<boolean> {
  const dialog = byId('confirm', HTMLDialogElement)
  setText(html('confirm-title'), title)
  setText(html('confirm-text'), text)
  setText(html('confirm-yes'), yes)
  setText(html('confirm-no'), no)
  dialog.returnValue = ''
  dialog.showModal()
  return new Promise(resolve => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true })
  })
}

/** Makes its buttons work; called once. */
export function startConfirm(): void {
  const dialog = byId('confirm', HTMLDialogElement)
  dialog.addEventListener('click', ({ target }) => {
    if (target === dialog || target === html('confirm-no')) dialog.close()
    if (target === html('confirm-yes')) dialog.close('yes')
  })
}
