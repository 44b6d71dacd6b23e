// Owns the token prompt: shown when the admin port wants a token, and the token's place in this tab.
import { byId, html, setText } from './dom.js'

const KEY = 'mcp-turnstile-token'

/** The token of this tab; undefined: there is none. */
export const keptToken = (): string | undefined => sessionStorage.getItem(KEY) ?? undefined

/** Keeps a token for this tab, or forgets it. */
export function keepToken(token: string | undefined): void {
  if (token === undefined) sessionStorage.removeItem(KEY)
  else sessionStorage.setItem(KEY, token)
}

/** Asks until a token is given. `message`: why the last token was not accepted; empty for the first time. */
export function askForToken(message: string): Promise<string> {
  const dialog = byId('token', HTMLDialogElement)
  const form = byId('token-form', HTMLFormElement)
  const input = byId('token-input', HTMLInputElement)
  setText(html('token-message'), message)
  input.setAttribute('aria-invalid', String(message !== ''))
  if (!dialog.open) dialog.showModal()
  input.focus()
  return new Promise(resolve => {
    form.onsubmit = event => {
      event.preventDefault()
      const token = input.value.trim()
      if (token === '') return
      input.value = ''
      dialog.onclose = null
      dialog.close()
      resolve(token)
    }
    // Without a token, nothing can be shown.
    dialog.onclose = () => {
      if (!dialog.open) dialog.showModal()
    }
  })
}
