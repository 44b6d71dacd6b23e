// Owns the comparison: what the admin port tells, as a stranger asks it, against what the clients expect and against itself.
import { setTimeout as sleep } from 'node:timers/promises'
import { seriesOf } from '../support/invariant.js'
import { problemsOfPeople } from '../support/people.js'
import type { ConnectionJson, SeriesPointJson, Turnstile } from '../support/turnstile.js'
import { ENDPOINTS, type Stage } from './stage.js'

/** A message whose stream the store does not have yet is looked up for up to 36 s. */
const SETTLE_MS = 45_000
const MINUTE = 60_000
const TRANSPORTS = ['sse', 'streamable', 'sessionless'] as const

export interface Outcome {
  problems: string[]
  /** Sessions and visitors that were compared. */
  compared: number
  open: number
}

/** Compares until nothing differs, or for too long: what is on its way arrives. */
export async function compareAtRest(stage: Stage, startedAt: number): Promise<Outcome> {
  const deadline = Date.now() + SETTLE_MS
  for (const turnstile of stage.fleet) await turnstile.shipped()
  for (;;) {
    await sleep(500)
    const outcome = await compare(stage, startedAt)
    if (outcome.problems.length === 0 || Date.now() > deadline) return outcome
  }
}

async function compare(stage: Stage, startedAt: number): Promise<Outcome> {
  const [first, ...others] = stage.fleet as [Turnstile, ...Turnstile[]]
  const now = Date.now()
  const rows = await first.connections()
  const problems = [...expectedProblems(stage, rows, now), ...(await accountProblems(first, rows, startedAt))]
  for (const other of others) {
    if (atRest(await other.connections()) !== atRest(rows)) problems.push('two proxies list different rows')
  }
  // What changed in between is no fault: the next look will tell.
  if (atRest(await first.connections()) !== atRest(rows)) problems.push('the rows do not come to rest')
  const open = rows.filter(({ reason }) => reason === null).length
  return { problems, compared: stage.sessions.length + stage.visitors.length, open }
}

/** All but what open streams move. */
const atRest = (rows: readonly ConnectionJson[]): string =>
  JSON.stringify(rows.map(row => ({ ...row, last_seen_at: '' })))

function expectedProblems(stage: Stage, rows: readonly ConnectionJson[], now: number): string[] {
  const { setup, sessions, visitors } = stage
  const problems: string[] = []
  const left = new Set(rows)
  const byId = new Map(rows.map(row => [`${row.transport_type} ${row.endpoint_id} ${row.session_id}`, row]))
  const byAgent = new Map<string, ConnectionJson[]>()
  for (const row of rows) {
    const agent = row.user_agent ?? ''
    byAgent.set(agent, [...(byAgent.get(agent) ?? []), row])
  }
  for (const session of sessions) {
    const { transport, endpointId, sessionId, userAgent } = session
    const row =
      sessionId === undefined
        ? byAgent.get(userAgent ?? '')?.[0]
        : byId.get(`${transport} ${endpointId} ${sessionId}`)
    if (row) left.delete(row)
    const problem = session.problem(row, setup, now)
    if (problem === undefined) continue
    const facts = session.facts
      .toSorted((a, b) => a.from - b.from)
      .map(({ what, from, to }) => `${what} ${from % 1e6}-${to % 1e6}`)
    problems.push(
      `${problem}: ${endpointId} ${sessionId} ${userAgent} ${session.note} ${JSON.stringify(row)}; ${facts.join(', ')}`
    )
  }
  for (const visitor of visitors) {
    const own = (byAgent.get(visitor.userAgent) ?? []).filter(row => row.transport_type === 3)
    for (const row of own) left.delete(row)
    const problem = visitor.problem(own, setup, now)
    if (problem === undefined) continue
    problems.push(
      `${problem}: ${visitor.endpointId} ${visitor.userAgent} ${JSON.stringify(own)}; ${JSON.stringify(visitor.presences.slice(-6))}`
    )
  }
  for (const row of left) problems.push(`a row of nobody: ${JSON.stringify(row)}`)
  return problems
}

/** Counts, series and the monitoring interface against the rows. */
async function accountProblems(
  turnstile: Turnstile,
  rows: readonly ConnectionJson[],
  startedAt: number
): Promise<string[]> {
  const problems: string[] = []
  const same = (what: string, seen: unknown, expected: unknown): void => {
    if (JSON.stringify(seen) !== JSON.stringify(expected))
      problems.push(`${what}: ${JSON.stringify(seen)}, not ${JSON.stringify(expected)}`)
  }
  const open = rows.filter(({ reason }) => reason === null)
  const openOf = (id: string): number => open.filter(({ endpoint_id }) => endpoint_id === id).length
  same('the count of all', await turnstile.count(), open.length)
  for (const [i, transport] of TRANSPORTS.entries()) {
    const { connect_num } = await turnstile.query<{ connect_num: number }>(
      `/api/connections/endpoint/count?transport=${transport}`
    )
    same(`the count of ${transport}`, connect_num, open.filter(row => row.transport_type === i + 1).length)
  }
  const ids = [...new Set(rows.map(row => row.endpoint_id))]
  for (const id of ids) {
    if (!ENDPOINTS.includes(id)) problems.push(`an endpoint of nobody: ${id}`)
    same(`the count of ${id}`, await turnstile.count(id), openOf(id))
  }
  problems.push(...(await problemsOfPeople(path => turnstile.query(path), rows)))
  const endpoints = await turnstile.query<{ endpoints?: EndpointJson[] } | EndpointJson[]>(
    '/api/mcp/endpoints'
  )
  const listed = Array.isArray(endpoints) ? endpoints : endpoints.endpoints!
  for (const { endpointId, activeConnections } of listed) {
    if (!ids.includes(endpointId)) problems.push(`an endpoint without rows: ${endpointId}`)
    same(`activeConnections of ${endpointId}`, activeConnections, openOf(endpointId))
  }
  const stats = await turnstile.query<StatsJson>('/api/mcp/connections?limit=10000')
  same('activeConnections', stats.activeConnections, open.length)
  same('totalConnections', stats.totalConnections, rows.length)
  const key = (endpointId: string, sessionId: string): string => `${endpointId} ${sessionId}`
  same(
    'the open sessions',
    stats.connections.map(({ endpointId, sessionId }) => key(endpointId, sessionId)).sort(),
    open.map(row => key(row.endpoint_id, row.session_id)).sort()
  )
  const [from, to] = [Math.floor(startedAt / MINUTE) * MINUTE, Math.floor(Date.now() / MINUTE) * MINUTE]
  const points = await turnstile.query<SeriesPointJson[]>(
    `/api/connections/time-series?start_time=${from}&end_time=${to}`
  )
  same('the minute series', points, seriesOf(rows, ids, from, to))
  return problems
}

interface EndpointJson {
  endpointId: string
  activeConnections: number
}
interface StatsJson {
  activeConnections: number
  totalConnections: number
  connections: { endpointId: string; sessionId: string }[]
}
