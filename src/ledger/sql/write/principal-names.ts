// Owns the names of principals of whom only a fingerprint is kept: made with the key of the store, so that nobody can try names out.
import { createHmac } from 'node:crypto'
import type { Principal } from '../../../mcp/principal.js'
import type { LedgerEvent } from '../../../sessions/events.js'
import type { Sql } from '../sql-database.js'
import { fingerprintKey } from './fingerprint-key.js'

/** Chosen: 128 bits, of which two are the same among billions with a probability of one in 10^20. */
const FINGERPRINT_CHARACTERS = 22

/** Events in which each principal has the name that is stored. */
export async function withNames<E extends { event: LedgerEvent }>(
  sql: Sql,
  entries: readonly E[]
): Promise<readonly E[]> {
  if (!entries.some(({ event }) => principalOf(event)?.isDigest)) return entries
  const key = await fingerprintKey(sql)
  return entries.map(entry => {
    const principal = principalOf(entry.event)
    if (!principal?.isDigest) return entry
    return { ...entry, event: { ...entry.event, principal: named(principal, key) } }
  })
}

const principalOf = (event: LedgerEvent): Principal | undefined =>
  event.type === 'close' || event.type === 'restart' ? undefined : event.principal

function named(principal: Principal, key: string): Principal {
  const digest = createHmac('sha256', key).update(`principal\n${principal.name}`).digest('base64url')
  return { ...principal, name: `${principal.kind}-${digest.slice(0, FINGERPRINT_CHARACTERS)}` }
}
