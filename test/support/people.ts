// Owns what the admin port says of principals and conversations, against a count over the rows that it lists.
import type { ConnectionStats, PrincipalInfo } from '../../src/admin/schemas/monitoring-responses.js'
import type { ConnectionCount } from '../../src/admin/schemas/query-responses.js'
import type { ConnectionJson } from './turnstile.js'

/** What of a row is counted. */
export type Owned = Pick<
  ConnectionJson,
  'endpoint_id' | 'principal' | 'conversation' | 'reason' | 'request_count'
>

const different = <T>(items: readonly T[], nameOf: (item: T) => string | null | undefined): number =>
  new Set(items.map(item => nameOf(item) ?? item)).size

/** What is wrong with a list of open sessions and the numbers beside it, which are of the same moment. */
export function problemsOfStats(stats: ConnectionStats): string[] {
  const { connections, activeConnections, activePrincipals, activeConversations } = stats
  const expected = {
    activeConnections: connections.length,
    activePrincipals: different(connections, ({ principal }) => principal),
    activeConversations: different(
      connections,
      ({ endpointId, conversation }) => conversation && `${endpointId}\n${conversation}`
    )
  }
  const seen = { activeConnections, activePrincipals, activeConversations }
  return differences('the numbers beside the list', seen, expected)
}

/** Answers a query of the admin port. */
export type Query = <T>(path: string) => Promise<T>

/** What is wrong with all that is said of principals and conversations; the rows must be at rest. */
export async function problemsOfPeople(query: Query, rows: readonly Owned[]): Promise<string[]> {
  const problems: string[] = []
  const endpoints = [...new Set(rows.map(row => row.endpoint_id))]
  const principals = [...new Set(rows.flatMap(row => row.principal ?? []))]
  const conversations = [...new Set(rows.flatMap(row => row.conversation ?? []))]
  const filters: Partial<Owned>[] = [
    {},
    ...endpoints.map(endpoint_id => ({ endpoint_id })),
    ...principals.map(principal => ({ principal })),
    ...conversations.map(conversation => ({ conversation })),
    ...endpoints.map((endpoint_id, i) => ({
      endpoint_id,
      principal: principals[i % principals.length] ?? ''
    }))
  ]
  for (const filter of filters) {
    const asked = new URLSearchParams(filter as Record<string, string>).toString()
    const { connect_num, principal_num, conversation_num } = await query<ConnectionCount>(
      `/api/connections/endpoint/count?${asked}`
    )
    const open = rows.filter(row => row.reason === null && isOf(row, filter))
    const expected = {
      connect_num: open.length,
      principal_num: different(open, ({ principal }) => principal),
      conversation_num: different(
        open,
        ({ endpoint_id, conversation }) => conversation && `${endpoint_id}\n${conversation}`
      )
    }
    problems.push(
      ...differences(`the counts of ${asked}`, { connect_num, principal_num, conversation_num }, expected)
    )
  }
  for (const endpointId of [undefined, ...endpoints])
    problems.push(...(await problemsOfPrincipals(query, rows, endpointId)))
  problems.push(...problemsOfStats(await query<ConnectionStats>('/api/mcp/connections?limit=10000')))
  return problems
}

async function problemsOfPrincipals(
  query: Query,
  rows: readonly Owned[],
  endpointId: string | undefined
): Promise<string[]> {
  const narrow = endpointId === undefined ? '' : `&endpointId=${encodeURIComponent(endpointId)}`
  const listed = await query<PrincipalInfo[]>(`/api/mcp/principals?limit=10000${narrow}`)
  const asked = rows.filter(row => endpointId === undefined || row.endpoint_id === endpointId)
  const of = (name: string): Omit<PrincipalInfo, 'kind' | 'lastActivity'> => {
    const own = asked.filter(row => row.principal === name)
    return {
      principal: name,
      activeConnections: own.filter(({ reason }) => reason === null).length,
      totalConnections: own.length,
      requestCount: own.reduce((sum, row) => sum + row.request_count, 0),
      endpoints: [...new Set(own.map(row => row.endpoint_id))].sort()
    }
  }
  const names = [...new Set(asked.flatMap(row => row.principal ?? []))].sort()
  const seen = listed
    .map(({ principal, activeConnections, totalConnections, requestCount, endpoints }) => ({
      ...{ principal, activeConnections, totalConnections, requestCount },
      endpoints: endpoints.toSorted()
    }))
    .sort((a, b) => (a.principal < b.principal ? -1 : 1))
  const busy = listed.map(info => info.activeConnections)
  return [
    ...differences(`the principals of ${endpointId ?? 'all'}`, seen, names.map(of)),
    ...differences(
      'their order',
      busy,
      busy.toSorted((a, b) => b - a)
    )
  ]
}

const isOf = (row: Owned, filter: Partial<Owned>): boolean =>
  Object.entries(filter).every(([name, value]) => row[name as keyof Owned] === value)

function differences(what: string, seen: unknown, expected: unknown): string[] {
  const [a, b] = [JSON.stringify(seen, sorted), JSON.stringify(expected, sorted)]
  return a === b ? [] : [`${what}: ${a}, not ${b}`]
}

/** Members in one order. */
const sorted = (_name: string, value: unknown): unknown =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value
