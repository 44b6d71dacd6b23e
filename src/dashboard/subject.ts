// Owns the page of one principal or conversation: its figures, and its sessions over time.
import type { ConnectionCount, ConnectionRow } from '../admin/schemas/query-responses.js'
import { BreakdownList } from './breakdown-list.js'
import { html, setFlag, setText } from './dom.js'
import { asked, matcher, noFilters } from './filters.js'
import { bytesText, clockText, countText } from './format.js'
import { Pace } from './pace.js'
import { Part } from './part.js'
import { parametersOf, type PastQuery } from './past-sessions.js'
import { SessionTimeline } from './session-timeline.js'
import { clientLabel, fromRow, type ListedSession } from './sessions.js'
import { SubjectActions, type SubjectActionsOptions } from './subject-actions.js'
import { texts } from './texts.js'
import type { Subject } from './view.js'

/** The most sessions that are drawn, the newest ones. Chosen: a page lays out so many bars at once. */
const MAX_DRAWN = 1_000
/** How often they are read at most. Chosen. */
const READ_MS = 5_000

/** What the page of a subject reads from, and what the reader does with it. */
export interface SubjectOptions extends SubjectActionsOptions {
  /** The range and endpoint that are looked at. */
  query: () => PastQuery
  onOpen: (session: ListedSession) => void
  onSubject: (subject: Subject) => void
  onEndpoint: (endpointId: string) => void
  onText: (text: string) => void
}

/** The page, shown while there is a subject. */
export class SubjectPage {
  readonly #options: SubjectOptions
  readonly #timeline: SessionTimeline
  readonly #actions: SubjectActions
  readonly #lists: readonly BreakdownList[]
  readonly #pace = new Pace(READ_MS, () => this.#read())
  readonly part = new Part(html('subject'), html('subject-figures'))
  #subject: Subject | undefined

  constructor(options: SubjectOptions) {
    this.#options = options
    this.#timeline = new SessionTimeline(html('subject-timeline'), options.onOpen)
    this.#actions = new SubjectActions(options)
    this.#lists = [
      new BreakdownList({
        title: texts.conversations,
        nameOf: ({ conversation }) => conversation,
        onChoose: conversation => options.onSubject({ conversation })
      }),
      new BreakdownList({
        title: texts.people,
        nameOf: ({ principal }) => principal,
        onChoose: principal => options.onSubject({ principal })
      }),
      new BreakdownList({
        title: texts.endpoints,
        nameOf: ({ endpointId }) => endpointId,
        onChoose: options.onEndpoint
      }),
      new BreakdownList({ title: texts.topClients, nameOf: clientLabel, onChoose: options.onText }),
      new BreakdownList({
        title: texts.topAddresses,
        nameOf: ({ address }) => address,
        onChoose: options.onText
      })
    ]
    html('subject-lists').append(...this.#lists.map(({ element }) => element))
  }

  /** Shows this subject, or none. */
  look(subject: Subject | undefined): void {
    const isOther = JSON.stringify(subject) !== JSON.stringify(this.#subject)
    this.#subject = subject
    html('subject').hidden = !subject
    if (isOther) this.#show([], false, undefined)
    if (!subject) return
    const isPerson = 'principal' in subject
    setFlag(this.#lists[0]!.element, 'own', !isPerson)
    setFlag(this.#lists[1]!.element, 'own', isPerson)
    setText(html('subject-kind'), isPerson ? texts.person : texts.conversation)
    setText(html('subject-title'), isPerson ? subject.principal : subject.conversation)
    this.#pace.now()
  }

  /** Reads all again. */
  read(): void {
    if (this.#subject) this.#pace.now()
  }

  /** Something opened or ended. */
  changed(): void {
    if (this.#subject) this.#pace.soon()
  }

  async #read(): Promise<void> {
    const subject = this.#subject
    if (document.hidden || !subject) return
    const { api } = this.#options
    const query = { ...this.#options.query(), principal: undefined, conversation: undefined }
    const [name, value] = Object.entries(subject)[0] as [keyof PastQuery, string]
    const narrowed = { ...parametersOf(query), [name]: asked(value) }
    const { endpoint_id } = narrowed
    const [page, count] = await this.part.reading(() =>
      Promise.all([
        api.page<ConnectionRow[]>('/api/connections/endpoint', { ...narrowed, limit: MAX_DRAWN }),
        api.get<ConnectionCount>('/api/connections/endpoint/count', { endpoint_id, [name]: value })
      ])
    )
    if (subject !== this.#subject) return
    const sessions = page.body.map(fromRow).filter(matcher({ ...noFilters, ...subject }))
    // The admin port does not count by a name that is hidden (--mask).
    const open =
      asked(value) === undefined ? sessions.filter(({ ended }) => !ended).length : count.connect_num
    this.#show(sessions, page.next !== undefined, open)
  }

  #show(sessions: readonly ListedSession[], hasMore: boolean, open: number | undefined): void {
    const more = hasMore ? '+' : ''
    const sum = (of: (session: ListedSession) => number): number =>
      sessions.reduce((before, session) => before + of(session), 0)
    const lastSeenAt = Math.max(0, ...sessions.map(session => session.lastSeenAt))
    setText(html('subject-open'), open === undefined ? '–' : countText(open))
    setText(html('subject-sessions'), countText(sessions.length) + more)
    setText(html('subject-requests'), countText(sum(({ requestCount }) => requestCount)) + more)
    setText(html('subject-calls'), countText(sum(({ callCount }) => callCount)) + more)
    const errors = sum(({ errorCount }) => errorCount)
    setText(html('subject-errors'), countText(errors) + more)
    setFlag(html('subject-errors'), 'some', errors > 0)
    setText(html('subject-bytes'), bytesText(sum(({ bytesIn, bytesOut }) => bytesIn + bytesOut)) + more)
    setText(html('subject-last'), lastSeenAt === 0 ? '–' : clockText(lastSeenAt))
    this.#timeline.show(sessions, this.#options.query())
    for (const list of this.#lists) list.show(sessions)
    this.#actions.show(this.#subject, open)
    setText(html('subject-note'), hasMore ? texts.onlyNewest(countText(MAX_DRAWN)) : '')
    html('subject-empty').hidden = sessions.length > 0 || open === undefined
  }
}
