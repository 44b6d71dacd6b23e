// Owns early closes: ends that came before any proof that their session was open, which may still wait in the outbox of
// another instance. write/apply.ts takes them into account when that proof comes. After an hour, or when there are too many,
// they are settled: applied once more, and forgotten.
import { OTHER_ENDPOINT, sessionKey, type StoredId } from '../../../mcp/stored-ids.js'
import type { Transport } from '../../../mcp/transports.js'
import type { CloseEvent, FinalReason } from '../../../sessions/events.js'
import type { EpochMs } from '../../../util/time.js'
import { mergeClose } from '../../model/merge.js'
import type { Row, Sql } from '../sql-database.js'
import { insertMany, limitTo, marks, runs } from '../statements.js'
import { changeSessions, type Ledger } from './session-change.js'

/** Closes settled in one transaction; chosen as for the other batches, small enough to lock endpoints for moments only. */
const BATCH_CLOSES = 256
/** So many may wait: anyone can ask for sessions that never were, and is told that they are gone. Chosen: a few megabytes. */
const MAX_WAITING = 10_000
const KEY = ['session_id', 'endpoint_id', 'closed_at', 'closed_by']
const COLUMNS = [...KEY, 'transport_type']

/** Keeps ends of unknown sessions; one that is kept already stays as it is. `now`: when it began to wait. */
export async function noteEarlyCloses(sql: Sql, closes: readonly CloseEvent[], now: EpochMs): Promise<void> {
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

/** The kept ends of these sessions, by `sessionKey`. */
export async function loadEarlyCloses(
  sql: Sql,
  sessionIds: readonly StoredId[]
): Promise<Map<string, CloseEvent[]>> {
  const found = new Map<string, CloseEvent[]>()
  for (const ids of runs(sessionIds)) {
    const statement = `SELECT ${COLUMNS.join(', ')} FROM turnstile_early_closes WHERE session_id IN (${marks(ids.length)})`
    for (const row of await sql.all(statement, ids)) addEarlyClose(found, readClose(row))
  }
  return found
}

/** Adds an end to ends by `sessionKey`. */
export function addEarlyClose(closes: Map<string, CloseEvent[]>, close: CloseEvent): void {
  const key = sessionKey(close)
  closes.set(key, [...(closes.get(key) ?? []), close])
}

/**
 * `StoreWriter.settleEarlyCloses`. Two instances may have written an end and its open at the same moment, neither seeing
 * what the other wrote: such an end is applied here. Where too many wait, those that waited longest are settled too.
 */
export async function settleEarlyCloses(ledger: Ledger, notedBefore: EpochMs, now: EpochMs): Promise<number> {
  return await changeSessions(ledger, now, async (sql, change) => {
    const [tooMany] = await sql.all(
      `SELECT noted_at FROM turnstile_early_closes ORDER BY noted_at DESC LIMIT 1 OFFSET ${MAX_WAITING}`
    )
    const before = Math.max(notedBefore, tooMany ? (tooMany.noted_at as EpochMs) + 1 : 0)
    const due = await sql.all(
      `SELECT ${COLUMNS.join(', ')} FROM turnstile_early_closes WHERE noted_at < ? ORDER BY noted_at ${limitTo(BATCH_CLOSES)}`,
      [sql.dialect.time(before)]
    )
    const closes = due.map(readClose)
    await change.lock([...closes.map(close => close.endpointId), OTHER_ENDPOINT])
    await change.load([...closes, ...closes.map(atOther)])
    for (const close of closes) {
      const record = change.get(sessionKey(close)) ?? change.get(sessionKey(atOther(close)))
      if (record) change.put(mergeClose(record, close, ledger.rules))
      await forget(sql, close)
    }
    return due.length
  })
}

/** The opening of these sessions is counted at `OTHER_ENDPOINT`: so are the ends of them that wait at their own, `homeless` ones. */
export async function moveEarlyCloses(
  sql: Sql,
  sessionIds: readonly StoredId[],
  homeless: ReadonlySet<StoredId>,
  now: EpochMs
): Promise<void> {
  const waiting = [...(await loadEarlyCloses(sql, sessionIds)).values()].flat()
  const moving = waiting.filter(close => homeless.has(close.endpointId))
  for (const close of moving) await forget(sql, close)
  await noteEarlyCloses(sql, moving.map(atOther), now)
}

const atOther = (close: CloseEvent): CloseEvent => ({ ...close, endpointId: OTHER_ENDPOINT })

async function forget(sql: Sql, close: CloseEvent): Promise<void> {
  await sql.run(
    `DELETE FROM turnstile_early_closes WHERE ${KEY.map(column => `${column} = ?`).join(' AND ')}`,
    [close.sessionId, close.endpointId, sql.dialect.time(close.at), close.reason]
  )
}

const readClose = (row: Row): CloseEvent => ({
  type: 'close',
  endpointId: row.endpoint_id as StoredId,
  sessionId: row.session_id as StoredId,
  ...(row.transport_type !== null && { transport: row.transport_type as Transport }),
  at: row.closed_at as EpochMs,
  reason: row.closed_by as FinalReason
})
