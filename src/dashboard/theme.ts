// Owns light and dark: as the system has it, until the reader chooses; and colours for a canvas.
import { el } from './dom.js'
import { texts } from './texts.js'

const KEY = 'mcp-turnstile-theme'
const choices = ['auto', 'light', 'dark'] as const
type Choice = (typeof choices)[number]

/** Makes the button work; `onChange` is called whenever the colours change. */
export function startTheme(button: HTMLButtonElement, onChange: () => void): void {
  let choice = choices.find(known => known === localStorage.getItem(KEY)) ?? 'auto'
  const apply = (chosen: Choice): void => {
    choice = chosen
    document.documentElement.dataset['theme'] = chosen
    const text = texts.colours[chosen]
    button.setAttribute('aria-label', text)
    button.title = text
    onChange()
  }
  button.addEventListener('click', () => {
    apply(choices[(choices.indexOf(choice) + 1) % choices.length]!)
    localStorage.setItem(KEY, choice)
  })
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', onChange)
  apply(choice)
}

/** Colours as the style sheet has them now; a canvas knows no variables. */
export function colourReader(host: HTMLElement): (variable: string) => string {
  return variable => {
    const probe = el('span', { hidden: '' })
    probe.style.color = `var(${variable})`
    host.append(probe)
    const { color } = getComputedStyle(probe)
    probe.remove()
    return color
  }
}
