// Owns copying an id: a button beside it, which also works where browsers allow pages no access to the clipboard (plain HTTP).
import { el, setText } from './dom.js'
import { texts } from './texts.js'

/** How long the button says that it has copied. Chosen. */
const DONE_MS = 1_500

/** A value, with a button that copies it. `name`: what it is, for screen readers. */
export function copyable(name: string, value: string): HTMLElement {
  const text = el('span', { class: 'value' }, value)
  const button = el(
    'button',
    { type: 'button', class: 'copy', 'aria-label': texts.copyNamed(name) },
    texts.copy
  )
  button.addEventListener('click', () => {
    void copy(text, value).then(isDone => {
      setText(button, isDone ? texts.copied : texts.notCopied)
      setTimeout(() => setText(button, texts.copy), DONE_MS)
    })
  })
  return el('span', { class: 'copyable' }, text, button)
}

async function copy(element: HTMLElement, value: string): Promise<boolean> {
  // Pages that did not come over HTTPS have no clipboard, whatever the types say.
  const clipboard = navigator.clipboard as Clipboard | undefined
  if (clipboard) {
    const isDone = await clipboard.writeText(value).then(
      () => true,
      () => false
    )
    if (isDone) return true
  }
  getSelection()?.selectAllChildren(element)
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- the only way without a clipboard
  return document.execCommand('copy')
}
