// Owns the rows of the proxies that share a store: identity, applied position, heartbeat.
import type { Heartbeat, InstanceIdentity, InstanceRow } from '../../store-port.js'
import { type Database, type Sql } from '../sql-database.js'
import { insertMany } from '../statements.js'

/** The store knows nothing of this proxy (any more): it must register, then repeat. */
export class NotRegisteredError extends Error {
  readonly code = 'TURNSTILE_NOT_REGISTERED'
}

export async function register(
  db: Database,
  { id, boot }: InstanceIdentity,
  now: number
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
    return { appliedOffset: await lockAppliedOffset(sql, id) }
  })
}

/** The applied position. Its row stays locked until the transaction ends: one batch of an outbox at a time. */
export async function lockAppliedOffset(sql: Sql, instanceId: string): Promise<number> {
  const statement = `SELECT applied_seq FROM turnstile_instances WHERE id = ?${sql.dialect.forUpdate}`
  const [row] = await sql.all(statement, [instanceId])
  if (!row) throw new NotRegisteredError(`proxy ${instanceId} is not registered in the store`)
  return Number(row.applied_seq)
}

export async function setAppliedOffset(sql: Sql, id: string, offset: number, now: number): Promise<void> {
  const statement = 'UPDATE turnstile_instances SET applied_seq = ?, heartbeat_at = ? WHERE id = ?'
  await sql.run(statement, [offset, sql.dialect.time(now), id])
}

export async function heartbeat(db: Database, { id }: InstanceIdentity, now: number): Promise<Heartbeat> {
  return await db.write(async sql => {
    await sql.run('UPDATE turnstile_instances SET heartbeat_at = ? WHERE id = ?', [sql.dialect.time(now), id])
    const rows = await sql.all('SELECT id, heartbeat_at, lost_at FROM turnstile_instances')
    const others = rows.filter(row => row.id !== id && row.lost_at !== row.heartbeat_at)
    return {
      lostAt: (rows.find(row => row.id === id)?.lost_at ?? null) as number | null,
      others: others.map(row => ({ id: row.id as string, heartbeatAt: row.heartbeat_at as number }))
    }
  })
}

export async function instances(db: Database, since: number): Promise<InstanceRow[]> {
  const statement =
    'SELECT id, heartbeat_at, lost_at FROM turnstile_instances WHERE heartbeat_at > ? ORDER BY heartbeat_at DESC'
  const rows = await db.read(sql => sql.all(statement, [sql.dialect.time(since)]))
  return rows.map(row => ({
    id: row.id as string,
    heartbeatAt: row.heartbeat_at as number,
    isLost: row.lost_at === row.heartbeat_at
  }))
}

/** Marks a proxy as lost if it has not been heard of since `heartbeatAt`; whether it was marked. */
export async function markLost(sql: Sql, id: string, heartbeatAt: number): Promise<boolean> {
  const statement = `SELECT heartbeat_at, lost_at FROM turnstile_instances WHERE id = ?${sql.dialect.forUpdate}`
  const [row] = await sql.all(statement, [id])
  if (row?.heartbeat_at !== heartbeatAt || row.lost_at === heartbeatAt) return false
  await sql.run('UPDATE turnstile_instances SET lost_at = heartbeat_at WHERE id = ?', [id])
  return true
}
