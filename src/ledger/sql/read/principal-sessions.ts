// Owns the open sessions of one principal: how many, and which, for the limit on them.
import type { Principal } from '../../../mcp/principal.js'
import { Transport } from '../../../mcp/transports.js'
import { OPEN_CLASS } from '../../model/rollup.js'
import type { PrincipalSessions, PrincipalSessionsQuery } from '../../store-port.js'
import { readRow, ROW_COLUMNS } from '../session-rows.js'
import type { Database, Sql } from '../sql-database.js'
import { limitTo, marks } from '../statements.js'
import { loadErasures } from '../write/erasures.js'
import { knownFingerprintKey } from '../write/fingerprint-key.js'
import { storedNameOf } from '../write/principal-names.js'

/** `StoreReader.principalSessions`. The number is read from nothing but an index. */
export async function principalSessions(
  db: Database,
  { principal, instanceId, limit }: PrincipalSessionsQuery
): Promise<PrincipalSessions> {
  return await db.read(async sql => {
    const names = await namesOf(sql, principal)
    const params = [...names, OPEN_CLASS, Transport.sessionless]
    const where = `WHERE principal IN (${marks(names.length)}) AND duration_class = ? AND transport_type <> ?`
    const [open] = await sql.all(`SELECT COUNT(*) AS open_num FROM endpoint_logs_v2 ${where}`, params)
    const rows =
      limit === 0
        ? []
        : await sql.all(
            `SELECT ${ROW_COLUMNS} FROM endpoint_logs_v2 ${where} ORDER BY connect_at, id ${limitTo(limit)}`,
            params
          )
    const [instance] = await sql.all('SELECT applied_seq FROM turnstile_instances WHERE id = ?', [instanceId])
    return {
      openNum: Number(open!.open_num),
      rows: rows.map(readRow),
      appliedOffset: Number(instance?.applied_seq ?? 0)
    }
  })
}

/** The names under which its sessions are stored: its own, and the token of one that was erased. */
async function namesOf(sql: Sql, principal: Principal): Promise<string[]> {
  // Without a key there is no fingerprint in the store.
  const key = principal.isDigest ? await knownFingerprintKey(sql) : ''
  const name = storedNameOf(principal, key ?? '')
  const erasure = (await loadErasures(sql, [name])).get(name)
  return erasure === undefined ? [name] : [name, erasure.token]
}
