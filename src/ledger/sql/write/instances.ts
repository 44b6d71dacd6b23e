// Owns the rows of the instances that share a store: identity, committed outbox offset, heartbeat, and whether it is lost.
// Heartbeats keep the lease of an instance: pipeline/store-maintenance.ts watches those of the others.
import { TurnstileError } from '../../../util/errors.js'
import type { EpochMs } from '../../../util/time.js'
import type { Heartbeat, InstanceIdentity, InstanceRow, StoreTimes } from '../../store-port.js'
import type { Database, Row, Sql } from '../sql-database.js'
import { insertMany } from '../statements.js'

/** The store does not know this instance (any more): it must register, then repeat what it wanted. */
export class NotRegisteredError extends TurnstileError {
  readonly code = 'TURNSTILE_NOT_REGISTERED'
}

/** `StoreWriter.register`. */
export async function register(
  db: Database,
  { id, boot }: InstanceIdentity,
  now: EpochMs
): Promise<{ appliedOffset: number }> {
  return await db.write(async sql => {
    const { time, onConflict } = sql.dialect
    await insertMany(
      sql,
      'turnstile_instances',
      ['id', 'boot', 'applied_seq', 'heartbeat_at'],
      [[id, boot, 0, time(now)]],
      onConflict(['id'], ['boot', 'heartbeat_at'], [])
    )
    return { appliedOffset: await appliedOffset(sql, id) }
  })
}

/** `StoreWriter.times`. */
export async function times(db: Database): Promise<StoreTimes> {
  return await db.read(async sql => {
    const known = await sql.all('SELECT heartbeat_at, lost_at FROM turnstile_instances')
    const told = known.filter(row => row.lost_at !== row.heartbeat_at).map(row => row.heartbeat_at as EpochMs)
    return { storeAt: await storeClock(sql), toldAt: Math.max(0, ...told) }
  })
}

async function storeClock(sql: Sql): Promise<EpochMs> {
  const [row] = await sql.all(`SELECT ${sql.dialect.now} AS store_at`)
  return row!.store_at as EpochMs
}

/** Another transaction applied entries of this outbox at the same time: whoever throws this changes nothing, and may try again. */
export class OffsetMovedError extends TurnstileError {
  readonly code = 'TURNSTILE_OFFSET_MOVED'
}

/** The committed outbox offset of an instance. Throws `NotRegisteredError`. */
export const appliedOffset = async (sql: Sql, instanceId: string): Promise<number> =>
  Number((await instanceRow(sql, instanceId)).applied_seq)

/**
 * Moves the outbox offset, to be committed with what was applied; it counts as a heartbeat too. The row is locked only from
 * here on, for the heartbeat must not wait for a large batch; so one batch at a time is applied because all others fail.
 * Throws `OffsetMovedError`, `NotRegisteredError`.
 */
export async function moveAppliedOffset(
  sql: Sql,
  id: string,
  from: number,
  to: number,
  now: EpochMs
): Promise<void> {
  const { applied_seq: applied, heartbeat_at: heartbeatAt } = await instanceRow(
    sql,
    id,
    sql.dialect.forUpdate
  )
  if (Number(applied) !== from)
    throw new OffsetMovedError(`another transaction applied entries of the outbox of ${id}`)
  const statement = 'UPDATE turnstile_instances SET applied_seq = ?, heartbeat_at = ? WHERE id = ?'
  await sql.run(statement, [to, sql.dialect.time(Math.max(now, heartbeatAt as EpochMs)), id])
}

async function instanceRow(sql: Sql, id: string, lock = ''): Promise<Row> {
  const statement = `SELECT applied_seq, heartbeat_at FROM turnstile_instances WHERE id = ?${lock}`
  const [row] = await sql.all(statement, [id])
  if (!row) throw new NotRegisteredError(`instance ${id} is not registered in the store`)
  return row
}

/** `StoreWriter.heartbeat`. Throws `NotRegisteredError`. */
export async function heartbeat(db: Database, { id }: InstanceIdentity, now: EpochMs): Promise<Heartbeat> {
  return await db.write(async sql => {
    await sql.run('UPDATE turnstile_instances SET heartbeat_at = ? WHERE id = ?', [sql.dialect.time(now), id])
    const rows = await sql.all('SELECT id, heartbeat_at, lost_at FROM turnstile_instances')
    const own = rows.find(row => row.id === id)
    if (!own) throw new NotRegisteredError(`instance ${id} is not registered in the store`)
    const [erasure] = await sql.all('SELECT MAX(erased_at) AS erased_at FROM turnstile_erasures')
    const others = rows.filter(row => row.id !== id && row.lost_at !== row.heartbeat_at)
    return {
      storeAt: await storeClock(sql),
      lostAt: own.lost_at as EpochMs | null,
      erasedAt: erasure!.erased_at as EpochMs | null,
      others: others.map(row => ({ id: row.id as string, heartbeatAt: row.heartbeat_at as EpochMs }))
    }
  })
}

/** `StoreReader.instances`. */
export async function instances(db: Database, since: EpochMs): Promise<InstanceRow[]> {
  const statement =
    'SELECT id, heartbeat_at, lost_at FROM turnstile_instances WHERE heartbeat_at > ? ORDER BY heartbeat_at DESC'
  const rows = await db.read(sql => sql.all(statement, [sql.dialect.time(since)]))
  return rows.map(row => ({
    id: row.id as string,
    heartbeatAt: row.heartbeat_at as EpochMs,
    isLost: row.lost_at === row.heartbeat_at
  }))
}

/** Marks an instance as lost if its last heartbeat is still `heartbeatAt`; returns whether it marked it now. */
export async function markLost(sql: Sql, id: string, heartbeatAt: EpochMs): Promise<boolean> {
  const statement = `SELECT heartbeat_at, lost_at FROM turnstile_instances WHERE id = ?${sql.dialect.forUpdate}`
  const [row] = await sql.all(statement, [id])
  if (row?.heartbeat_at !== heartbeatAt || row.lost_at === heartbeatAt) return false
  await sql.run('UPDATE turnstile_instances SET lost_at = heartbeat_at WHERE id = ?', [id])
  return true
}
