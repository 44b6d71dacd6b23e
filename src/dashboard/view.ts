// Owns what the reader looks at, and how the address of the page says it: so that reload, back and a link to a colleague work.
import { type Filters, noFilters, states, transportNames } from './filters.js'
import { type Last, lasts, type RangeChoice } from './range.js'
import { columnNames, defaultSorting, isDefault, type Sorting } from './sorting.js'

/** What the lower part of the page shows. */
export const tabs = ['sessions', 'people', 'clients'] as const
export type Tab = (typeof tabs)[number]

/** Enough to find a session, open or ended. */
export interface SessionReference {
  endpointId: string
  sessionId: string
  /** In epoch ms. */
  connectedAt: number
}

/** What the reader looks at. */
export interface View {
  /** Undefined: all. */
  endpointId: string | undefined
  range: RangeChoice
  tab: Tab
  filters: Filters
  sorting: Sorting
  /** The session whose details are open. */
  session: SessionReference | undefined
}

export const initialView: View = {
  endpointId: undefined,
  range: { last: '1h' },
  tab: 'sessions',
  filters: noFilters,
  sorting: defaultSorting,
  session: undefined
}

/**
 * A view as the fragment of the page's address, without `#`. Fragments stay in the browser: ids of sessions and names of
 * people get into no log on the way. What is as in the initial view is left out.
 */
export function toFragment({ endpointId, range, tab, filters, sorting, session }: View): string {
  const { state, text, transport, reason, upstream, principal, conversation } = filters
  const isLast = 'last' in range
  const values: Record<string, string | undefined> = {
    endpoint: endpointId,
    range: isLast && range.last !== '1h' ? range.last : undefined,
    from: isLast ? undefined : new Date(range.start).toISOString(),
    to: isLast ? undefined : new Date(range.end).toISOString(),
    tab: tab === initialView.tab ? undefined : tab,
    state: state === noFilters.state ? undefined : state,
    transport,
    reason,
    gateway: upstream,
    principal,
    conversation,
    text: text === '' ? undefined : text,
    sort: isDefault(sorting) ? undefined : `${sorting.isDescending ? '-' : ''}${sorting.column}`,
    session: session?.sessionId,
    of: session?.endpointId,
    since: session && new Date(session.connectedAt).toISOString()
  }
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(values)) if (value !== undefined) parameters.set(name, value)
  return parameters.toString()
}

/** The view that a fragment says, with or without `#`; what cannot be read is as in the initial view. */
export function fromFragment(fragment: string): View {
  const parameters = new URLSearchParams(fragment.replace(/^#/, ''))
  const text = (name: string): string | undefined => parameters.get(name) || undefined
  const oneOf = <T extends string>(name: string, known: readonly T[]): T | undefined =>
    known.find(value => value === parameters.get(name))
  return {
    endpointId: text('endpoint'),
    range: rangeOf(oneOf('range', Object.keys(lasts) as Last[]), text('from'), text('to')),
    tab: oneOf('tab', tabs) ?? initialView.tab,
    filters: {
      state: oneOf('state', states) ?? noFilters.state,
      text: text('text') ?? '',
      transport: oneOf('transport', transportNames),
      reason: text('reason'),
      upstream: text('gateway'),
      principal: text('principal'),
      conversation: text('conversation')
    },
    sorting: sortingOf(text('sort') ?? ''),
    session: sessionOf(text('session'), text('of'), text('since'))
  }
}

function rangeOf(last: Last | undefined, from = '', to = ''): RangeChoice {
  const [start, end] = [Date.parse(from), Date.parse(to)]
  if (start < end) return { start, end }
  return last === undefined ? initialView.range : { last }
}

function sortingOf(text: string): Sorting {
  const isDescending = text.startsWith('-')
  const column = columnNames.find(name => name === text.slice(Number(isDescending)))
  return column === undefined ? defaultSorting : { column, isDescending }
}

function sessionOf(
  sessionId: string | undefined,
  endpointId: string | undefined,
  since = ''
): SessionReference | undefined {
  const connectedAt = Date.parse(since)
  if (sessionId === undefined || endpointId === undefined || Number.isNaN(connectedAt)) return undefined
  return { sessionId, endpointId, connectedAt }
}
