// Owns the tabs of the lower part of the page.
import { html } from './dom.js'
import { type Tab, tabs } from './view.js'

/** Makes the tabs work: by pointer, and by the arrow keys. Returns a function that shows one of them. */
export function startTabs(onChoose: (tab: Tab) => void): (tab: Tab) => void {
  const buttons = tabs.map(tab => [tab, html(`tab-${tab}`)] as const)
  for (const [index, [tab, button]] of buttons.entries()) {
    button.addEventListener('click', () => onChoose(tab))
    button.addEventListener('keydown', event => {
      const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0
      const next = buttons[(index + step + buttons.length) % buttons.length]
      if (step === 0 || !next) return
      event.preventDefault()
      onChoose(next[0])
      next[1].focus()
    })
  }
  return chosen => {
    for (const [tab, button] of buttons) {
      button.setAttribute('aria-selected', String(tab === chosen))
      button.tabIndex = tab === chosen ? 0 : -1
      html(`${tab}-tab`).hidden = tab !== chosen
    }
    // Clients are counted among the sessions that the filters leave.
    html('filters').hidden = chosen === 'people' || chosen === 'tools'
  }
}
