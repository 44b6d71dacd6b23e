// Owns writing what is counted of principals and conversations: the differences of a transaction, after its rows are written.
import type { StoredId } from '../../../mcp/stored-ids.js'
import type { PeopleDelta, PrincipalDelta } from '../../model/people.js'
import { OPEN_CLASS, type RollupDelta } from '../../model/rollup.js'
import type { Sql } from '../sql-database.js'
import { insertMany, marks, runs } from '../statements.js'

const KEY = ['endpoint_id', 'principal']
const SUMS = ['active_num', 'session_num', 'request_num']
const COLUMNS = [...KEY, 'principal_kind', ...SUMS, 'last_seen_at']

/** Adds to the rows of principals; one without sessions is deleted, so that no name outlives its sessions. */
export async function savePrincipals(
  sql: Sql,
  { principals }: Pick<PeopleDelta, 'principals'>
): Promise<void> {
  const { time, onConflict } = sql.dialect
  const rowOf = (delta: PrincipalDelta) => [
    delta.endpointId,
    delta.principal,
    delta.kind,
    delta.activeNum,
    delta.sessionNum,
    delta.requestNum,
    time(delta.lastSeenAt)
  ]
  const end = onConflict(KEY, ['principal_kind'], SUMS, ['last_seen_at'])
  await insertMany(sql, 'turnstile_principals', COLUMNS, principals.map(rowOf), end)
  for (const { endpointId, principal } of principals.filter(({ sessionNum }) => sessionNum < 0))
    await sql.run(
      'DELETE FROM turnstile_principals WHERE endpoint_id = ? AND principal = ? AND session_num <= 0',
      [endpointId, principal]
    )
}

/**
 * Adds to `delta` how many more conversations have open sessions, endpoint by endpoint. What was open before the transaction is
 * what is open now, less its differences: nobody else writes sessions of these endpoints meanwhile.
 */
export async function countConversations(sql: Sql, people: PeopleDelta, delta: RollupDelta): Promise<void> {
  const changed = [...people.conversations].flatMap(([endpointId, conversations]) =>
    [...conversations].flatMap(([conversation, by]) => (by === 0 ? [] : [{ endpointId, conversation, by }]))
  )
  if (changed.length === 0) return
  const openNum = new Map<string, number>()
  for (const names of runs([...new Set(changed.map(({ conversation }) => conversation))])) {
    const rows = await sql.all(
      `SELECT endpoint_id, conversation, COUNT(*) AS open_num FROM endpoint_logs_v2 WHERE conversation IN (${marks(names.length)}) AND duration_class = ? GROUP BY endpoint_id, conversation`,
      [...names, OPEN_CLASS]
    )
    for (const row of rows)
      openNum.set(keyOf(row.endpoint_id as StoredId, row.conversation as StoredId), Number(row.open_num))
  }
  for (const { endpointId, conversation, by } of changed) {
    const after = openNum.get(keyOf(endpointId, conversation)) ?? 0
    delta.endpoint(endpointId).conversationNum += Number(after > 0) - Number(after - by > 0)
  }
}

const keyOf = (endpointId: StoredId, conversation: StoredId): string => `${endpointId}\n${conversation}`
