// Owns `mcp-turnstile copy`: the whole of one store into another, empty one, such as an SQLite file into MySQL.
import { setTimeout as sleep } from 'node:timers/promises'
import type { CopyConfig } from '../config/settings.js'
import { CopyError, copyTables } from '../ledger/sql/copy-tables.js'
import type { Database } from '../ledger/sql/sql-database.js'
import { openDatabase } from './open-database.js'

/** Three times as long as a proxy lets pass between two heartbeats. */
const HEARTBEAT_WAIT_MS = 3_000

/**
 * Copies `from` into `to` and prints what each table has. Resolves with the exit code: 0 when all is copied and compared,
 * 1 when nothing was copied because of what is in the stores. Throws when a database cannot be used.
 */
export async function runCopy({ from, to }: Pick<CopyConfig, 'from' | 'to'>): Promise<number> {
  const source = openDatabase(from, '--from')
  const target = openDatabase(to)
  try {
    await source.migrate()
    await refuseLiving(source)
    await target.migrate()
    const sums = await copyTables(source, target)
    for (const { table, rows, checksum } of sums) console.log(`${table}: ${rows} rows, checksum ${checksum}`)
    const total = sums.reduce((sum, { rows }) => sum + rows, 0)
    console.log(`${total} rows of ${sums.length} tables copied; read again, they are equal`)
    return 0
  } catch (error) {
    if (!(error instanceof CopyError)) throw error
    console.error(`mcp-turnstile: nothing was copied: ${error.message}`)
    return 1
  } finally {
    await Promise.all([source.close(), target.close()])
  }
}

/** Throws where a proxy still sends heartbeats: what it counts later would be missing in the copy. */
async function refuseLiving(db: Database): Promise<void> {
  const heartbeats = async () =>
    JSON.stringify(
      await db.read(sql => sql.all('SELECT id, heartbeat_at FROM turnstile_instances ORDER BY id'))
    )
  const before = await heartbeats()
  if (before === '[]') return
  await sleep(HEARTBEAT_WAIT_MS)
  if ((await heartbeats()) !== before)
    throw new CopyError(
      'SOURCE_IN_USE',
      'a proxy still uses the store of --from: end it first, and wait until its process is gone'
    )
}
