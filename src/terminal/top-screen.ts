// Owns the picture of `top`: what is shown of the sessions, in which order, within the terminal's size; pure.
import type { ConnectionInfo, ConnectionStats, UpstreamInfo } from '../admin/schemas/monitoring-responses.js'
import { sessionColumns, upstreamColumns } from './shown-rows.js'
import { cut, shown, shownDuration, type Style } from './shown-values.js'
import { type Cell, type Column, layOut } from './text-table.js'

/** In which order sessions can stand: by name, the largest or latest first. */
export const SORTS = {
  newest: row => row.connectedAt,
  'last used': row => row.lastActivity,
  requests: row => row.requestCount,
  endpoint: row => row.endpointId,
  client: row => row.clientName ?? row.userAgent,
  principal: row => row.principal ?? ''
} satisfies Record<string, (row: ConnectionInfo) => string | number>

/** A key of `SORTS`. */
export type Sort = keyof typeof SORTS

/** By what sessions can stand together. */
export const GROUPS = {
  none: undefined,
  endpoint: row => row.endpointId,
  principal: row => row.principal ?? '-',
  client: row => row.clientName ?? '-',
  gateway: row => row.upstream ?? '-'
} satisfies Record<string, ((row: ConnectionInfo) => string) | undefined>

/** A key of `GROUPS`. */
export type Group = keyof typeof GROUPS

/** What people chose. */
export interface View {
  sort: Sort
  isReversed: boolean
  group: Group
  /** Only sessions that have this text somewhere. */
  filter: string
  /** It is being typed. */
  isTyping: boolean
  isPaused: boolean
  /** How many rows are above the screen. */
  offset: number
}

/** What the admin port said last. */
export interface Figures {
  stats: ConnectionStats
  upstreams: readonly UpstreamInfo[]
}

/** A group of sessions. */
interface Grouped {
  name: string
  sessions: number
  requests: number
  lastActivity: string
}

const HELP = 'q quit  s sort  r reverse  g group  / filter  p pause  arrows scroll'

/**
 * The lines of the screen, at most `rows` of them. `failure`: why the figures are old; `figures` is undefined until there are
 * any.
 */
export function topLines(
  view: View,
  figures: Figures | undefined,
  failure: string | undefined,
  size: { columns: number; rows: number },
  now: number
): Cell[][] {
  const line = (text: string, style?: Style): Cell[] => [{ text: cut(shown(text), size.columns), style }]
  const head: Cell[][] = []
  if (figures) {
    const { activeConnections, activePrincipals, activeConversations, totalConnections } = figures.stats
    const time = figures.stats.lastUpdated.slice(11, 19)
    const counts = `${activeConnections} open, ${activePrincipals} principals, ${activeConversations} conversations`
    head.push(line(`mcp-turnstile  ${time} UTC  ${counts}, ${totalConnections} ever`, 'bold'))
    if (figures.upstreams.length > 1)
      head.push(...layOut(upstreamColumns, figures.upstreams, size.columns), [])
  }
  if (failure !== undefined) head.push(line(failure, 'red'))
  const sessions = figures === undefined ? [] : chosen(view, figures.stats.connections)
  head.push(line(chosenText(view, sessions.length, figures), 'cyan'))
  const groupOf = GROUPS[view.group]
  const room = Math.max(size.rows - head.length - 2, 1)
  const page = <Row>(columns: readonly Column<Row>[], rows: readonly Row[]): Cell[][] =>
    layOut(columns, rows.slice(view.offset, view.offset + room), size.columns)
  const table = groupOf
    ? page(groupColumns(now), grouped(sessions, groupOf))
    : page(sessionColumns(now), sessions)
  const above = [...head, ...table].slice(0, size.rows - 1)
  return [...above, line(view.isTyping ? `/${view.filter}_` : HELP, 'dim')]
}

/** How many rows there are to scroll through. */
export function rowCount(view: View, { stats }: Figures): number {
  const sessions = chosen(view, stats.connections)
  const groupOf = GROUPS[view.group]
  return groupOf ? grouped(sessions, groupOf).length : sessions.length
}

function chosenText(view: View, found: number, figures: Figures | undefined): string {
  const { stats } = figures ?? {}
  const isPart = stats !== undefined && stats.connections.length < stats.activeConnections
  return [
    `sorted by ${view.sort}${view.isReversed ? ', reversed' : ''}`,
    ...(view.group === 'none' ? [] : [`grouped by ${view.group}`]),
    ...(view.filter === '' ? [] : [`filter "${view.filter}": ${found}`]),
    ...(isPart ? [`of the newest ${stats.connections.length}`] : []),
    ...(view.isPaused ? ['paused'] : [])
  ].join(', ')
}

function chosen(view: View, sessions: readonly ConnectionInfo[]): ConnectionInfo[] {
  const wanted = view.filter.toLowerCase()
  const found = wanted === '' ? [...sessions] : sessions.filter(session => texts(session).includes(wanted))
  const key = SORTS[view.sort]
  // Names from the start of the alphabet on, figures and times from the largest on.
  const isName = view.sort === 'endpoint' || view.sort === 'client' || view.sort === 'principal'
  const first = isName === view.isReversed ? 1 : -1
  return found.sort((a, b) => {
    const [left, right] = [key(a), key(b)]
    return left === right ? 0 : left < right ? first : -first
  })
}

const texts = ({
  sessionId,
  endpointId,
  clientName,
  userAgent,
  principal,
  upstream,
  clientIP
}: ConnectionInfo): string =>
  [sessionId, endpointId, clientName, userAgent, principal, upstream, clientIP].join('\n').toLowerCase()

/** The largest first. */
function grouped(sessions: readonly ConnectionInfo[], groupOf: (row: ConnectionInfo) => string): Grouped[] {
  const groups = new Map<string, Grouped>()
  for (const session of sessions) {
    const name = groupOf(session)
    const group = groups.get(name) ?? { name, sessions: 0, requests: 0, lastActivity: '' }
    groups.set(name, group)
    group.sessions++
    group.requests += session.requestCount
    if (session.lastActivity > group.lastActivity) group.lastActivity = session.lastActivity
  }
  return [...groups.values()].sort((a, b) => b.sessions - a.sessions)
}

const groupColumns = (now: number): readonly Column<Grouped>[] => [
  { title: 'NAME', of: row => row.name },
  { title: 'SESSIONS', of: row => row.sessions, align: 'right', whole: true },
  { title: 'REQUESTS', of: row => row.requests, align: 'right', whole: true },
  { title: 'IDLE', of: row => shownDuration(now - Date.parse(row.lastActivity)), align: 'right', whole: true }
]
