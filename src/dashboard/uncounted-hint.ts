// Owns the hint that MCP passes on paths that no pattern counts, so that an empty dashboard does not look like no traffic.
import type { UncountedPath } from '../admin/schemas/monitoring-responses.js'
import { el } from './dom.js'
import { countText } from './format.js'
import { texts } from './texts.js'

/** Shows these paths, or nothing where there are none. */
export function showUncounted(list: HTMLElement, paths: readonly UncountedPath[] = []): void {
  list.hidden = paths.length === 0
  const items = paths.map(({ path, advice, requests }) =>
    el('li', {}, texts.uncounted(path, countText(requests)), ' ', el('span', {}, advice))
  )
  if (list.textContent !== items.map(({ textContent }) => textContent).join(''))
    list.replaceChildren(...items)
}
