// Owns what the reader looks at, and how the address of the page says it: so that reload, back and a link to a colleague work.
import { type Filters, noFilters, states, transportNames } from './filters.js'
import { type Last, lasts, type RangeChoice } from './range.js'
import { columnNames, defaultSorting, isDefault, type Sorting } from './sorting.js'
import { defaultToolSorting, toolColumns, type ToolSorting } from './tool-sorting.js'
import { type Span, spans, type ToolReference } from './tool-totals.js'

/** What the lower part of the page shows. */
export const tabs = ['sessions', 'people', 'clients', 'tools'] as const
export type Tab = (typeof tabs)[number]

/** Enough to find a session, open or ended. */
export interface SessionReference {
  endpointId: string
  sessionId: string
  /** In epoch ms. */
  connectedAt: number
}

/** How the reader looks at the use of tools. */
export interface ToolView {
  /** Undefined: as the length of the range has it. */
  span: Span | undefined
  /** Undefined: all. */
  tool: ToolReference | undefined
  sorting: ToolSorting
}

/** Whose sessions the reader looks at. */
export type Subject = { principal: string } | { conversation: string }

/** What the reader looks at. */
export interface View {
  /** Undefined: all. */
  endpointId: string | undefined
  range: RangeChoice
  tab: Tab
  filters: Filters
  sorting: Sorting
  tools: ToolView
  /** The session whose details are open. */
  session: SessionReference | undefined
}

export const initialView: View = {
  endpointId: undefined,
  range: { last: '1h' },
  tab: 'sessions',
  filters: noFilters,
  sorting: defaultSorting,
  tools: { span: undefined, tool: undefined, sorting: defaultToolSorting },
  session: undefined
}

/** The principal or conversation that is looked at, if it is one. */
export function subjectOf({ filters: { principal, conversation } }: View): Subject | undefined {
  if (principal !== undefined) return { principal }
  return conversation === undefined ? undefined : { conversation }
}

/**
 * A view as the fragment of the page's address, without `#`. Fragments stay in the browser: ids of sessions and names of
 * people get into no log on the way. What is as in the initial view is left out.
 */
export function toFragment({ endpointId, range, tab, filters, sorting, tools, session }: View): string {
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
    sort: isDefault(sorting) ? undefined : signed(sorting),
    by: tools.span,
    tool: tools.tool?.tool,
    toolOf: tools.tool?.endpointId,
    toolSort: signed(tools.sorting) === signed(defaultToolSorting) ? undefined : signed(tools.sorting),
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
    sorting: sortingOf(text('sort') ?? '', columnNames) ?? defaultSorting,
    tools: {
      span: oneOf('by', spans),
      tool: toolOf(text('tool'), text('toolOf')),
      sorting: sortingOf(text('toolSort') ?? '', toolColumns) ?? defaultToolSorting
    },
    session: sessionOf(text('session'), text('of'), text('since'))
  }
}

function rangeOf(last: Last | undefined, from = '', to = ''): RangeChoice {
  const [start, end] = [Date.parse(from), Date.parse(to)]
  if (start < end) return { start, end }
  return last === undefined ? initialView.range : { last }
}

/** A sorting as a text: its column, after a minus if the largest comes first. */
const signed = ({ column, isDescending }: { column: string; isDescending: boolean }): string =>
  `${isDescending ? '-' : ''}${column}`

function sortingOf<Column extends string>(
  text: string,
  columns: readonly Column[]
): { column: Column; isDescending: boolean } | undefined {
  const isDescending = text.startsWith('-')
  const column = columns.find(name => name === text.slice(Number(isDescending)))
  return column === undefined ? undefined : { column, isDescending }
}

const toolOf = (tool: string | undefined, endpointId: string | undefined): ToolReference | undefined =>
  tool === undefined || endpointId === undefined ? undefined : { endpointId, tool }

function sessionOf(
  sessionId: string | undefined,
  endpointId: string | undefined,
  since = ''
): SessionReference | undefined {
  const connectedAt = Date.parse(since)
  if (sessionId === undefined || endpointId === undefined || Number.isNaN(connectedAt)) return undefined
  return { sessionId, endpointId, connectedAt }
}
