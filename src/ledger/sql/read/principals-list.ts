// Owns the counts of principals and conversations, and the list of principals.
import type { PrincipalKind } from '../../../mcp/principal.js'
import type { StoredId } from '../../../mcp/stored-ids.js'
import type { EpochMs } from '../../../util/time.js'
import { ALL_ENDPOINTS } from '../../model/people.js'
import { OPEN_CLASS } from '../../model/rollup.js'
import type { OpenCounts, PrincipalRow, PrincipalsQuery, SessionsFilter, Totals } from '../../store-port.js'
import { joined } from '../fragments.js'
import type { Database, Sql } from '../sql-database.js'
import { limitTo, marks, runs } from '../statements.js'
import { narrowing } from './sessions-filter.js'

/** So many endpoints of a principal are listed. Chosen: the first ones show where it is. */
const MAX_ENDPOINTS = 100

/** `StoreReader.openCounts`. */
export const openCounts = (db: Database, filter: SessionsFilter): Promise<OpenCounts> =>
  db.read(sql => readOpenCounts(sql, filter))

/** `StoreReader.openCounts`, within a transaction. */
export async function readOpenCounts(sql: Sql, filter: SessionsFilter): Promise<OpenCounts> {
  const { endpointId, ...narrow } = filter
  return narrowing(narrow).length > 0 ? await countRows(sql, filter) : await readCounts(sql, endpointId)
}

/** From what each transaction that changes sessions adds up. */
async function readCounts(sql: Sql, endpointId: StoredId | undefined): Promise<OpenCounts> {
  const where = endpointId === undefined ? '' : ' WHERE endpoint_id = ?'
  const [sessions] = await sql.all(
    `SELECT SUM(connect_num) AS open_num, SUM(grouped_num) AS grouped_num, SUM(conversation_num) AS conversation_num FROM endpoint_connections_v2${where}`,
    endpointId === undefined ? [] : [endpointId]
  )
  const [principals] = await sql.all(
    'SELECT COUNT(*) AS principal_num, SUM(active_num) AS owned_num FROM turnstile_principals WHERE endpoint_id = ? AND active_num > 0',
    [endpointId ?? ALL_ENDPOINTS]
  )
  return people({ ...sessions, ...principals })
}

/** From the open rows, where only some of them are asked for. */
async function countRows(sql: Sql, filter: SessionsFilter): Promise<OpenCounts> {
  const open = [{ text: 'duration_class = ?', params: [OPEN_CLASS] }, ...narrowing(filter)]
  const { text, params } = joined(open, ' AND ')
  const [sessions] = await sql.all(
    `SELECT COUNT(*) AS open_num, COUNT(conversation) AS grouped_num, COUNT(principal) AS owned_num, COUNT(DISTINCT principal) AS principal_num FROM endpoint_logs_v2 WHERE ${text}`,
    params
  )
  const [conversations] = await sql.all(
    `SELECT COUNT(*) AS conversation_num FROM (SELECT DISTINCT endpoint_id, conversation FROM endpoint_logs_v2 WHERE ${text} AND conversation IS NOT NULL) AS found`,
    params
  )
  return people({ ...sessions, ...conversations })
}

/** A session without a principal, or without a conversation, counts as itself. */
function people(sums: Readonly<Record<string, string | number | null>>): OpenCounts {
  const of = (name: string): number => Number(sums[name] ?? 0)
  return {
    openNum: of('open_num'),
    principalNum: of('open_num') - of('owned_num') + of('principal_num'),
    conversationNum: of('open_num') - of('grouped_num') + of('conversation_num')
  }
}

/** The totals of a principal. */
export async function readTotalsOfPrincipal(
  sql: Sql,
  principal: string,
  endpointId: StoredId = ALL_ENDPOINTS
): Promise<Totals> {
  const [row] = await sql.all(
    'SELECT active_num, session_num FROM turnstile_principals WHERE endpoint_id = ? AND principal = ?',
    [endpointId, principal]
  )
  return { openNum: Number(row?.active_num ?? 0), openedNum: Number(row?.session_num ?? 0) }
}

/** `StoreReader.principals`. */
export async function principals(
  db: Database,
  { endpointId, limit, after }: PrincipalsQuery
): Promise<PrincipalRow[]> {
  return await db.read(async sql => {
    // Row by row (a, b, c) < (x, y, z), which MariaDB does not read from an index if it is written so.
    const behind =
      'AND active_num <= ? AND (active_num < ? OR session_num < ? OR (session_num = ? AND id < ?))'
    const place = endpointId ?? ALL_ENDPOINTS
    const rows = await sql.all(
      `SELECT id, principal, principal_kind, active_num, session_num, request_num, last_seen_at FROM turnstile_principals WHERE endpoint_id = ? ${after ? behind : ''} ORDER BY active_num DESC, session_num DESC, id DESC ${limitTo(limit)}`,
      [
        place,
        ...(after ? [after.activeNum, after.activeNum, after.sessionNum, after.sessionNum, after.id] : [])
      ]
    )
    const names = rows.map(row => row.principal as string)
    const endpoints = endpointId === undefined ? await endpointsOf(sql, names) : new Map<string, StoredId[]>()
    return rows.map(row => ({
      id: Number(row.id),
      principal: row.principal as string,
      kind: row.principal_kind as PrincipalKind | null,
      activeNum: Number(row.active_num),
      sessionNum: Number(row.session_num),
      requestNum: Number(row.request_num),
      lastSeenAt: row.last_seen_at as EpochMs,
      endpointIds: endpointId === undefined ? (endpoints.get(row.principal as string) ?? []) : [endpointId]
    }))
  })
}

/** The endpoints of principals, in order. */
async function endpointsOf(sql: Sql, principals: readonly string[]): Promise<Map<string, StoredId[]>> {
  const found = new Map<string, StoredId[]>()
  for (const names of runs(principals)) {
    const rows = await sql.all(
      `SELECT principal, endpoint_id FROM turnstile_principals WHERE principal IN (${marks(names.length)}) AND endpoint_id <> ? ORDER BY principal, endpoint_id`,
      [...names, ALL_ENDPOINTS]
    )
    for (const row of rows) {
      const known = found.get(row.principal as string) ?? []
      if (known.length < MAX_ENDPOINTS) known.push(row.endpoint_id as StoredId)
      found.set(row.principal as string, known)
    }
  }
  return found
}
