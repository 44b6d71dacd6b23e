// Owns the time zone in which times are told: that of the browser, or UTC.
import { setText } from './dom.js'
import { tellTimesIn } from './format.js'
import { texts } from './texts.js'

const KEY = 'mcp-turnstile-zone'
const UTC = 'UTC'

const local = new Intl.DateTimeFormat().resolvedOptions().timeZone
let chosenUtc = localStorage.getItem(KEY) === UTC

/** Whether times are told in UTC. */
export const isUtc = (): boolean => chosenUtc || local === UTC

/** `UTC+1`: how far the browser's zone is from UTC today. */
function offsetText(): string {
  const parts = new Intl.DateTimeFormat('en', { timeZoneName: 'shortOffset' }).formatToParts()
  return parts.find(({ type }) => type === 'timeZoneName')!.value.replace('GMT', UTC)
}

/** Makes the button work: it names the zone. `onChange` is called when another one is chosen. */
export function startZone(button: HTMLButtonElement, onChange: () => void): void {
  const apply = (): void => {
    tellTimesIn(isUtc() ? UTC : undefined)
    setText(button, isUtc() ? UTC : `${local} (${offsetText()})`)
    button.title = isUtc() ? texts.timesInUtc(local) : texts.timesInZone(local)
    button.disabled = local === UTC
  }
  button.addEventListener('click', () => {
    chosenUtc = !chosenUtc
    localStorage.setItem(KEY, chosenUtc ? UTC : '')
    apply()
    onChange()
  })
  apply()
}
