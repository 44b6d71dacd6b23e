// Owns the audit of what is counted of principals: it is computed again from the session rows, compared, and repaired.
import type { PrincipalKind } from '../../../mcp/principal.js'
import type { StoredId } from '../../../mcp/stored-ids.js'
import type { EpochMs } from '../../../util/time.js'
import { ALL_ENDPOINTS, type PrincipalDelta } from '../../model/people.js'
import { OPEN_CLASS } from '../../model/rollup.js'
import type { Database, Row, Sql } from '../sql-database.js'
import { limitTo, marks, runs } from '../statements.js'
import { lockEndpoints } from './endpoint-locks.js'
import { savePrincipals } from './people-rows.js'

/** Principals compared in one snapshot. Chosen: with more of them MariaDB reads a table of some thousand rows from end to end. */
const PAGE_PRINCIPALS = 16

/** A stored figure of a principal that differs from what the rows say. */
export interface PrincipalDifference {
  principal: string
  /** `ALL_ENDPOINTS`: of all together. */
  endpointId: StoredId
  /** The column of `turnstile_principals`. */
  figure: string
  /** What the rows say, less the stored figure. */
  off: number
}

/**
 * Compares the figures of all principals with the rows, some of them in a snapshot at a time. `onCompared` gets the number of
 * each time.
 */
export async function* checkPrincipals(
  db: Database,
  onCompared: (principals: number) => void = () => undefined
): AsyncGenerator<PrincipalDifference> {
  // Every name sorts after the empty text.
  for (let last: string | undefined = ''; last !== undefined;) {
    const { principals, off } = await db.read(async sql => {
      const names = await principalsAfter(sql, last!)
      return { principals: names, off: await differencesOf(sql, names) }
    })
    for (const delta of off) yield* figuresOf(delta)
    onCompared(principals.length)
    last = principals.at(-1)
  }
}

/** Corrects the figures of these principals. */
export async function repairPrincipals(
  db: Database,
  principals: readonly string[],
  now: EpochMs
): Promise<void> {
  for (const page of runs(principals)) {
    const endpointIds = await db.read(sql => endpointsOf(sql, page))
    await db.write(async sql => {
      // Who writes sessions of these endpoints waits.
      await lockEndpoints(sql, now, endpointIds)
      await savePrincipals(sql, { principals: await differencesOf(sql, page) })
    })
  }
}

/** The next names that any table knows. */
async function principalsAfter(sql: Sql, name: string): Promise<string[]> {
  const limit = limitTo(PAGE_PRINCIPALS)
  const names = ['endpoint_logs_v2', 'turnstile_principals'].map(
    table =>
      `SELECT principal FROM (SELECT DISTINCT principal FROM ${table} WHERE principal > ? ORDER BY principal ${limit}) AS of_${table}`
  )
  const rows = await sql.all(`${names.join(' UNION ')} ORDER BY principal ${limit}`, [name, name])
  return rows.map(row => row.principal as string)
}

async function endpointsOf(sql: Sql, principals: readonly string[]): Promise<StoredId[]> {
  const rows = await sql.all(
    `SELECT DISTINCT endpoint_id FROM endpoint_logs_v2 WHERE principal IN (${marks(principals.length)})`,
    principals
  )
  return rows.map(row => row.endpoint_id as StoredId)
}

/** What the rows say of principals, less what is stored, in the order in which all writers lock them. */
async function differencesOf(sql: Sql, principals: readonly string[]): Promise<PrincipalDelta[]> {
  if (principals.length === 0) return []
  const deltas = new Map<string, PrincipalDelta>()
  const add = (endpointId: StoredId, row: Row, sign: 1 | -1): void => {
    const principal = row.principal as string
    const key = `${endpointId}\n${principal}`
    const kind = row.principal_kind as PrincipalKind | null
    const before = deltas.get(key) ?? { activeNum: 0, sessionNum: 0, requestNum: 0, lastSeenAt: 0 }
    deltas.set(key, {
      endpointId,
      principal,
      kind,
      activeNum: before.activeNum + sign * Number(row.active_num),
      sessionNum: before.sessionNum + sign * Number(row.session_num),
      requestNum: before.requestNum + sign * Number(row.request_num),
      lastSeenAt: Math.max(before.lastSeenAt, Number(row.last_seen_at))
    })
  }
  const counted = await sql.all(
    'SELECT principal, endpoint_id, MAX(principal_kind) AS principal_kind, SUM(CASE WHEN duration_class = ? THEN 1 ELSE 0 END) AS active_num, ' +
      'COUNT(*) AS session_num, SUM(request_count) AS request_num, MAX(last_seen_at) AS last_seen_at ' +
      `FROM endpoint_logs_v2 WHERE principal IN (${marks(principals.length)}) GROUP BY principal, endpoint_id`,
    [OPEN_CLASS, ...principals]
  )
  for (const row of counted)
    for (const endpointId of [ALL_ENDPOINTS, row.endpoint_id as StoredId]) add(endpointId, row, 1)
  const stored = await sql.all(
    `SELECT principal, endpoint_id, principal_kind, active_num, session_num, request_num, last_seen_at FROM turnstile_principals WHERE principal IN (${marks(principals.length)})`,
    principals
  )
  for (const row of stored) add(row.endpoint_id as StoredId, row, -1)
  return [...deltas].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, delta]) => delta)
}

function* figuresOf(delta: PrincipalDelta): Generator<PrincipalDifference> {
  const { principal, endpointId } = delta
  const figures = {
    active_num: delta.activeNum,
    session_num: delta.sessionNum,
    request_num: delta.requestNum
  }
  for (const [figure, off] of Object.entries(figures))
    if (off !== 0) yield { principal, endpointId, figure, off }
}
