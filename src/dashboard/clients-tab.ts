// Owns the tab of clients: the most frequent names, versions and addresses among the sessions that are listed.
import { BreakdownList } from './breakdown-list.js'
import { html, setText } from './dom.js'
import { Pace } from './pace.js'
import { clientLabel, type ListedSession } from './sessions.js'
import { texts } from './texts.js'

/** How often they are counted at most. Chosen: counting 50,000 sessions takes some frames. */
const SHOW_MS = 2_000

/** The lists; choosing one of a list narrows the sessions to it. */
export class ClientsTab {
  readonly #lists: readonly BreakdownList[]
  readonly #pace = new Pace(SHOW_MS, () => Promise.resolve(this.#show()))
  #sessions: readonly ListedSession[] = []
  #isIncomplete = false
  #isShown = false

  constructor(onChoose: (text: string) => void) {
    const list = (title: string, nameOf: (session: ListedSession) => string | null): BreakdownList =>
      new BreakdownList({ title, nameOf, onChoose })
    this.#lists = [
      list(texts.topClients, clientLabel),
      new BreakdownList({
        title: texts.topVersions,
        nameOf: ({ clientName, clientVersion }) =>
          clientVersion === null ? null : `${clientName ?? ''} ${clientVersion}`.trim(),
        onChoose: name => onChoose(name.slice(name.lastIndexOf(' ') + 1))
      }),
      list(texts.topAddresses, ({ address }) => address),
      list(texts.topUserAgents, ({ userAgent }) => (userAgent === '' ? null : userAgent))
    ]
    html('clients-lists').append(...this.#lists.map(({ element }) => element))
  }

  /** These sessions are listed; `isIncomplete`: and others that were not read. */
  update(sessions: readonly ListedSession[], isIncomplete: boolean): void {
    this.#sessions = sessions
    this.#isIncomplete = isIncomplete
    if (this.#isShown) this.#pace.soon()
  }

  /** Whether the reader looks at it. */
  look(isShown: boolean): void {
    if (isShown && !this.#isShown) this.#pace.now()
    this.#isShown = isShown
  }

  #show(): void {
    for (const list of this.#lists) list.show(this.#sessions)
    setText(html('clients-note'), this.#isIncomplete ? texts.onlyThoseRead : '')
  }
}
