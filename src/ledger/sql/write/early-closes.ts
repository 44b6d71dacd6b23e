// Owns ends that came before any proof of their session: another proxy's outbox may still hold its open.
import { sessionKey } from '../../../mcp/stored-ids.js'
import type { Transport } from '../../../mcp/transports.js'
import type { CloseEvent, FinalReason } from '../../../sessions/events.js'
import { mergeClose } from '../../model/merge.js'
import type { Row, Sql } from '../sql-database.js'
import { insertMany, marks, runs } from '../statements.js'
import { changeSessions, type Ledger } from './session-change.js'

const BATCH_CLOSES = 500
const KEY = ['session_id', 'endpoint_id', 'closed_at', 'closed_by']
const COLUMNS = [...KEY, 'transport_type']

export async function noteEarlyCloses(sql: Sql, closes: readonly CloseEvent[], now: number): Promise<void> {
  const rows = closes.map(close => [
    close.sessionId,
    close.endpointId,
    sql.dialect.time(close.at),
    close.reason,
    close.transport ?? null,
    sql.dialect.time(now)
  ])
  await insertMany(
    sql,
    'turnstile_early_closes',
    [...COLUMNS, 'noted_at'],
    rows,
    sql.dialect.onConflict(KEY, [], [])
  )
}

/** The early ends of these sessions, by `sessionKey`. */
export async function loadEarlyCloses(
  sql: Sql,
  sessionIds: readonly string[]
): Promise<Map<string, CloseEvent[]>> {
  const found = new Map<string, CloseEvent[]>()
  for (const ids of runs(sessionIds)) {
    const statement = `SELECT ${COLUMNS.join(', ')} FROM turnstile_early_closes WHERE session_id IN (${marks(ids.length)})`
    for (const row of await sql.all(statement, ids)) addEarlyClose(found, readClose(row))
  }
  return found
}

export function addEarlyClose(closes: Map<string, CloseEvent[]>, close: CloseEvent): void {
  const key = sessionKey(close)
  closes.set(key, [...(closes.get(key) ?? []), close])
}

/**
 * Forgets the early ends noted before `notedBefore` (epoch ms), at most a batch; how many. An end and its open may have
 * been written at the same moment by two proxies, neither seeing the other's: such an end is applied now.
 */
export async function settleEarlyCloses(ledger: Ledger, notedBefore: number, now: number): Promise<number> {
  return await changeSessions(ledger, now, async (sql, change) => {
    const due = await sql.all(
      `SELECT ${COLUMNS.join(', ')} FROM turnstile_early_closes WHERE noted_at < ? ORDER BY noted_at LIMIT ?`,
      [sql.dialect.time(notedBefore), String(BATCH_CLOSES)]
    )
    const closes = due.map(readClose)
    await change.lock(closes.map(close => close.endpointId))
    await change.load(closes)
    for (const close of closes) {
      const record = change.get(sessionKey(close))
      if (record) change.put(mergeClose(record, close, ledger.rules))
      await sql.run(
        `DELETE FROM turnstile_early_closes WHERE ${KEY.map(column => `${column} = ?`).join(' AND ')}`,
        [close.sessionId, close.endpointId, sql.dialect.time(close.at), close.reason]
      )
    }
    return due.length
  })
}

const readClose = (row: Row): CloseEvent => ({
  type: 'close',
  endpointId: row.endpoint_id as string,
  sessionId: row.session_id as string,
  ...(row.transport_type !== null && { transport: row.transport_type as Transport }),
  at: row.closed_at as number,
  reason: row.closed_by as FinalReason
})
