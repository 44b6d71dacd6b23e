// Owns the bound on endpoints (`--max-endpoints`), for anyone can make up as many as there are requests: sessions of new ones
// beyond it are counted as those of one endpoint, `other`. The store decides, so that all proxies agree and it outlives them.
import { OTHER_ENDPOINT, type SessionIds, sessionKey, type StoredId } from '../../../mcp/stored-ids.js'
import type { LedgerEvent, SessionEvent } from '../../../sessions/events.js'
import type { EpochMs } from '../../../util/time.js'
import type { OutboxEntry } from '../../store-port.js'
import type { Sql } from '../sql-database.js'
import { insertMany, marks, runs } from '../statements.js'
import { moveEarlyCloses } from './early-closes.js'
import { countEndpoints } from './endpoint-deletion.js'

type EndpointEvent = Exclude<LedgerEvent, { type: 'restart' }>

/**
 * The entries, those of endpoints that find no room with `OTHER_ENDPOINT` as theirs. A session that is counted there stays
 * there until it ends.
 */
export async function withinLimit(
  sql: Sql,
  entries: readonly OutboxEntry[],
  maxEndpoints: number,
  now: EpochMs
): Promise<readonly OutboxEntry[]> {
  const events = entries.flatMap(({ event }) => (event.type === 'restart' ? [] : [event]))
  if (maxEndpoints === 0 || events.length === 0) return entries
  const named = new Set(events.map(({ endpointId }) => endpointId))
  let known = await knownAmong(sql, [...named, OTHER_ENDPOINT])
  const isUnknown = (endpointId: StoredId): boolean => !known.has(endpointId) && endpointId !== OTHER_ENDPOINT
  if ([...named].some(isUnknown)) {
    await lockNewEndpoints(sql)
    known = await knownAmong(sql, [...named, OTHER_ENDPOINT])
  }
  const unknown = [...named].filter(isUnknown)
  const homeless = new Set(unknown.length > 0 ? await withoutRoom(sql, unknown, events, maxEndpoints) : [])
  const placed = known.has(OTHER_ENDPOINT) ? await placedAtOther(sql, events) : undefined
  if (homeless.size === 0 && !placed?.size) return entries
  const proved = events.filter(isOfSession).filter(event => proves(event) && homeless.has(event.endpointId))
  await moveEarlyCloses(sql, [...new Set(proved.map(({ sessionId }) => sessionId))], homeless, now)
  const isOther = (event: EndpointEvent): boolean =>
    homeless.has(event.endpointId) || (isOfSession(event) && placed?.has(sessionKey(event)) === true)
  return entries.map(entry =>
    entry.event.type !== 'restart' && isOther(entry.event)
      ? { ...entry, event: { ...entry.event, endpointId: OTHER_ENDPOINT } }
      : entry
  )
}

/**
 * Waits for other transactions that may add endpoints, and lets no more begin until this one is committed: all see the same
 * endpoints. Writers that need this lock take it before all others.
 */
async function lockNewEndpoints(sql: Sql): Promise<void> {
  const { onConflict } = sql.dialect
  await insertMany(
    sql,
    'turnstile_keys',
    ['name', 'secret'],
    [['endpoints', '']],
    onConflict(['name'], [], [])
  )
}

async function knownAmong(sql: Sql, endpointIds: readonly StoredId[]): Promise<Set<StoredId>> {
  const known = new Set<StoredId>()
  for (const ids of runs(endpointIds)) {
    const statement = `SELECT endpoint_id FROM endpoint_connections_v2 WHERE endpoint_id IN (${marks(ids.length)})`
    for (const row of await sql.all(statement, ids)) known.add(row.endpoint_id as StoredId)
  }
  return known
}

/** Those that find no room: where there is none at all, also those that an end names, as its opening would be at `other`. */
async function withoutRoom(
  sql: Sql,
  unknown: readonly StoredId[],
  events: readonly EndpointEvent[],
  maxEndpoints: number
): Promise<StoredId[]> {
  const room = Math.max(0, maxEndpoints - (await countEndpoints(sql)))
  if (room === 0) return [...unknown]
  const opening = new Set(events.filter(proves).map(({ endpointId }) => endpointId))
  return unknown.filter(endpointId => opening.has(endpointId)).slice(room)
}

const isOfSession = (event: EndpointEvent): event is SessionEvent => event.type !== 'tool'

/** Whether an event may be the first of its session or visit, or of its endpoint. */
const proves = (event: EndpointEvent): boolean =>
  event.type !== 'close' && event.type !== 'outcome' && !(event.type === 'use' && event.ofKnown)

/** By `sessionKey` of their own endpoints, the sessions among those of the events that are counted at `other`. */
async function placedAtOther(sql: Sql, events: readonly EndpointEvent[]): Promise<Set<string>> {
  const sessions = new Map<StoredId, SessionIds[]>()
  for (const event of events) {
    if (event.type === 'visit' || event.type === 'tool' || event.endpointId === OTHER_ENDPOINT) continue
    sessions.set(event.sessionId, [...(sessions.get(event.sessionId) ?? []), event])
  }
  const rows = new Set<string>()
  const atOther: StoredId[] = []
  for (const ids of runs([...sessions.keys()])) {
    const statement = `SELECT endpoint_id, session_id FROM endpoint_logs_v2 WHERE session_id IN (${marks(ids.length)})`
    for (const row of await sql.all(statement, ids)) {
      const [endpointId, sessionId] = [row.endpoint_id as StoredId, row.session_id as StoredId]
      rows.add(sessionKey({ endpointId, sessionId }))
      if (endpointId === OTHER_ENDPOINT) atOther.push(sessionId)
    }
  }
  const keys = atOther.flatMap(sessionId => sessions.get(sessionId)!.map(sessionKey))
  return new Set(keys.filter(key => !rows.has(key)))
}
