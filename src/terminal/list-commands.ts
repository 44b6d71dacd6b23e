// Owns the commands that ask: status, sessions, count, principals, upstreams.
import type {
  ConnectionInfo,
  ConnectionStats,
  GatewayHealth,
  PrincipalInfo,
  UpstreamInfo
} from '../admin/schemas/monitoring-responses.js'
import type { ConnectionCount, ConnectionRow } from '../admin/schemas/query-responses.js'
import type { Readiness } from '../admin/schemas/readiness.js'
import { oneOf } from '../config/setting-kinds.js'
import { command } from './command.js'
import { Exit } from './exit-codes.js'
import { sessionColumns, upstreamColumns } from './shown-rows.js'
import { shown, shownDuration } from './shown-values.js'
import { anyText, flag, narrowing, rowLimit } from './terminal-settings.js'
import type { Column } from './text-table.js'

/** Rows of a table for people, unless they ask for more. Chosen: some screens. */
const DEFAULT_ROWS = 100

const limit = flag(rowLimit, `at most this many; 0: all (default: ${DEFAULT_ROWS} in a table, all as JSON)`)
const transport = flag(
  oneOf('NAME', 'sse', 'streamable', 'sessionless'),
  'only sse, streamable or sessionless'
)

const rowsOf = (asked: number | undefined, isJson: boolean): number =>
  asked === 0 || (asked === undefined && isJson) ? Infinity : (asked ?? DEFAULT_ROWS)

/** `mcp-turnstile status` */
export const status = command({
  summary:
    'whether the gateway responds and changes of sessions reach the store; paths that are not counted; exit code 1 if not healthy',
  usage: '',
  operands: { least: 0, most: 0 },
  details: [
    'As JSON: {"health": as /api/mcp/health, "readiness": as /readyz, "upstreams": as /api/mcp/upstreams}.'
  ],
  settings: {},
  async run({ api, output }) {
    const [health, readiness, upstreams] = await Promise.all([
      api.ask<GatewayHealth>('/api/mcp/health'),
      api.ask<Readiness>('/readyz', {}, { accepted: [503] }),
      api.ask<UpstreamInfo[]>('/api/mcp/upstreams')
    ])
    const isGood = health.healthy && readiness.ready
    if (output.isJson) output.json({ health, readiness, upstreams })
    else {
      const say = (name: string, isOk: boolean, text: string): void =>
        output.line(`${name.padEnd(10)}${output.styled(text, isOk ? 'green' : 'red')}`)
      const { outbox, store } = readiness
      const since = (at: string | null): string => (at === null ? '' : ` since ${at}`)
      say('healthy', isGood, isGood ? 'yes' : readiness.closing ? 'no, it is ending' : 'no')
      say('gateway', health.serverRunning, health.serverRunning ? 'answers' : 'does not answer')
      say('store', store.ok, store.ok ? 'can be written' : `cannot be written${since(store.failingSince)}`)
      const waiting = `${outbox.depth} events wait${outbox.oldestAt === null ? '' : since(outbox.oldestAt)}`
      say(
        'outbox',
        outbox.ok,
        outbox.ok ? waiting : `cannot be written, ${waiting}, ${outbox.lostEvents} are lost`
      )
      const { active, total } = health.connections
      // A store that cannot be read in time is told as no sessions.
      const isKnown = health.healthy || total > 0
      output.line(`sessions  ${isKnown ? `${active} open, ${total} ever` : 'not known'}`)
      output.line(`clients   connect to ${shown(new URL(health.endpoint).origin)}`)
      for (const { path, advice, requests } of health.uncounted ?? [])
        output.line(output.styled(shown(`not counted: ${requests} requests at ${path}: ${advice}`), 'yellow'))
      output.line()
      output.table(upstreamColumns, upstreams)
    }
    return isGood ? Exit.ok : Exit.no
  }
})

/** `mcp-turnstile sessions` */
export const sessions = command({
  summary:
    'the open sessions, newest first; with --from and --to those of a time range; with an id one of them',
  usage: '[SESSION_ID]',
  operands: { least: 0, most: 1 },
  details: [
    'As JSON: an array as in `connections` of /api/mcp/connections; with --from or --to as /api/connections/endpoint;',
    'with SESSION_ID an object, or exit code 1 where no such session is open.'
  ],
  settings: {
    ...narrowing,
    from: flag(anyText('TIME'), 'connected at that time or later, such as 2026-01-31T09:30:00Z'),
    to: flag(anyText('TIME'), 'connected at that time or earlier'),
    transport,
    limit
  },
  async run({ api, output, flags, operands: [sessionId] }) {
    const { endpoint, upstream, principal, conversation } = flags
    if (sessionId !== undefined) {
      const path = `/api/mcp/connections/${encodeURIComponent(sessionId)}`
      const session = await api.ask<ConnectionInfo>(path, { endpointId: endpoint })
      if (output.isJson) output.json(session)
      else
        for (const [name, value] of Object.entries(session))
          output.line(`${name.padEnd(16)}${shown(String(value ?? '-'))}`)
      return Exit.ok
    }
    const most = rowsOf(flags.limit, output.isJson)
    const narrow = { upstream, principal, conversation }
    if (flags.from !== undefined || flags.to !== undefined || flags.transport !== undefined) {
      const query = { ...narrow, endpoint_id: endpoint, transport: flags.transport }
      const times = { start_time: flags.from, end_time: flags.to }
      const rows = await all(
        api.pages('/api/connections/endpoint', { ...query, ...times }, most, (page: ConnectionRow[]) => page)
      )
      output.results(pastColumns, rows)
      return Exit.ok
    }
    let open = 0
    const rows = await all(
      api.pages(
        '/api/mcp/connections',
        { ...narrow, endpointId: endpoint },
        most,
        (page: ConnectionStats) => {
          open = page.activeConnections
          return page.connections
        }
      )
    )
    if (output.isJson) output.json(rows)
    else {
      output.table(sessionColumns(Date.now()), rows)
      if (rows.length < open) output.note(`${rows.length} of ${open}; --limit 0 lists all`)
    }
    return Exit.ok
  }
})

/** `mcp-turnstile count` */
export const count = command({
  summary: 'how many sessions are open, of how many principals, in how many conversations',
  usage: '',
  operands: { least: 0, most: 0 },
  details: ['As JSON: as /api/connections/endpoint/count, such as {"endpoint_id":"all","connect_num":3,…}.'],
  settings: { ...narrowing, transport },
  async run({ api, output, flags: { endpoint, ...narrow } }) {
    const { upstream, principal, conversation, transport } = narrow
    const query = { endpoint_id: endpoint, upstream, principal, conversation, transport }
    const counted = await api.ask<ConnectionCount>('/api/connections/endpoint/count', query)
    const { connect_num, principal_num, conversation_num } = counted
    output.result(
      counted,
      `${connect_num} open: ${principal_num} principals, ${conversation_num} conversations`
    )
    return Exit.ok
  }
})

/** `mcp-turnstile principals` */
export const principals = command({
  summary: 'on whose behalf sessions are used, the busiest first',
  usage: '',
  operands: { least: 0, most: 0 },
  details: ['As JSON: as /api/mcp/principals.'],
  settings: { endpoint: narrowing.endpoint, limit },
  async run({ api, output, flags }) {
    const most = rowsOf(flags.limit, output.isJson)
    const query = { endpointId: flags.endpoint }
    const rows = await all(api.pages('/api/mcp/principals', query, most, (page: PrincipalInfo[]) => page))
    output.results(principalColumns(Date.now()), rows)
    return Exit.ok
  }
})

/** `mcp-turnstile upstreams` */
export const upstreams = command({
  summary: 'the gateways: state, sessions, requests and streams of each, and whether it is safe to stop',
  usage: '',
  operands: { least: 0, most: 0 },
  details: ['As JSON: as /api/mcp/upstreams.'],
  settings: {},
  async run({ api, output }) {
    const rows = await api.ask<UpstreamInfo[]>('/api/mcp/upstreams')
    output.results(upstreamColumns, rows)
    return Exit.ok
  }
})

const pastColumns: readonly Column<ConnectionRow>[] = [
  { title: 'SESSION', of: row => row.session_id, whole: true },
  { title: 'ENDPOINT', of: row => row.endpoint_id },
  { title: 'CONNECTED', of: row => row.connect_at, whole: true },
  { title: 'ENDED', of: row => (row.reason === null ? null : row.disconnect_at), whole: true },
  { title: 'REASON', of: row => row.reason ?? 'open' },
  { title: 'CLIENT', of: row => row.client_name ?? row.user_agent, optional: true },
  { title: 'PRINCIPAL', of: row => row.principal, optional: true, cutAt: 'beginning' },
  { title: 'GATEWAY', of: row => row.upstream, optional: true, cutAt: 'beginning' },
  { title: 'REQUESTS', of: row => row.request_count, align: 'right', optional: true }
]

const principalColumns = (now: number): readonly Column<PrincipalInfo>[] => [
  { title: 'PRINCIPAL', of: row => row.principal, cutAt: 'beginning' },
  { title: 'KIND', of: row => row.kind },
  { title: 'OPEN', of: row => row.activeConnections, align: 'right' },
  { title: 'EVER', of: row => row.totalConnections, align: 'right' },
  { title: 'REQUESTS', of: row => row.requestCount, align: 'right' },
  { title: 'IDLE', of: row => shownDuration(now - Date.parse(row.lastActivity)), align: 'right' },
  { title: 'ENDPOINTS', of: row => row.endpoints.join(' '), optional: true }
]

async function all<Item>(pages: AsyncIterable<Item[]>): Promise<Item[]> {
  const items: Item[] = []
  for await (const page of pages) items.push(...page)
  return items
}
