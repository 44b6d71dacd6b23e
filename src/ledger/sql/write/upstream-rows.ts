// Owns what the proxies of a store tell each other of gateways: what each has under way there, and which are drained.
import { DAY_MS, type EpochMs } from '../../../util/time.js'
import type { UpstreamReport } from '../../store-port.js'
import type { Database } from '../sql-database.js'
import { insertMany } from '../statements.js'

/** Reports of an instance that is gone are kept for so long. Chosen: they tell where a gateway with sessions left was. */
const REPORT_KEPT_MS = DAY_MS
const KEY = ['instance_id', 'name']
const STATE = ['url', 'is_listed', 'is_draining', 'session_num', 'request_num', 'stream_num', 'failing_since']

/** `StoreWriter.reportUpstreams`. */
export async function reportUpstreams(
  db: Database,
  { id }: { id: string },
  reports: readonly UpstreamReport[],
  now: EpochMs
): Promise<void> {
  await db.write(async sql => {
    const { time, onConflict } = sql.dialect
    const known = await sql.all('SELECT name, instance_id, reported_at FROM turnstile_upstreams')
    const names = new Set(reports.map(({ name }) => name))
    const old = known.filter(row => Number(row.reported_at) < now - REPORT_KEPT_MS)
    const left = known.filter(row => row.instance_id === id && !names.has(row.name as string))
    for (const row of [...old, ...left])
      await sql.run('DELETE FROM turnstile_upstreams WHERE instance_id = ? AND name = ?', [
        row.instance_id as string,
        row.name as string
      ])
    const rows = reports.map(report => [
      id,
      report.name,
      report.url,
      Number(report.isListed),
      Number(report.isDraining),
      report.sessions,
      report.requests,
      report.streams,
      report.failingSince === null ? null : time(report.failingSince),
      time(now)
    ])
    const changing = [...STATE, 'reported_at']
    await insertMany(sql, 'turnstile_upstreams', [...KEY, ...changing], rows, onConflict(KEY, changing, []))
  })
}

/** `StoreWriter.drainUpstream`. */
export async function drainUpstream(db: Database, name: string, on: boolean, now: EpochMs): Promise<void> {
  await db.write(async sql => {
    if (on) {
      const { time, onConflict } = sql.dialect
      const row = [[name, time(now)]]
      const columns = ['name', 'drained_at']
      await insertMany(sql, 'turnstile_upstream_drains', columns, row, onConflict(['name'], [], []))
    } else await sql.run('DELETE FROM turnstile_upstream_drains WHERE name = ?', [name])
  })
}
