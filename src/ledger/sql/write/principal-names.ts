// Owns the names of principals as events tell them: of whom only a fingerprint is kept gets one that is made with the key of the
// store, so that nobody can try names out; whose name was erased is marked.
import { createHmac } from 'node:crypto'
import type { Principal } from '../../../mcp/principal.js'
import type { LedgerEvent } from '../../../sessions/events.js'
import type { Sql } from '../sql-database.js'
import { loadErasures } from './erasures.js'
import { fingerprintKey } from './fingerprint-key.js'

/** Chosen: 128 bits, of which two are the same among billions with a probability of one in 10^20. */
const FINGERPRINT_CHARACTERS = 22

/** Events in which each principal has the name that is stored. */
export async function withNames<E extends { event: LedgerEvent }>(
  sql: Sql,
  entries: readonly E[]
): Promise<readonly E[]> {
  const told = entries.flatMap(({ event }) => principalOf(event) ?? [])
  if (told.length === 0) return entries
  const key = told.some(({ isDigest }) => isDigest) ? await fingerprintKey(sql) : ''
  const nameOf = (principal: Principal): string => storedNameOf(principal, key)
  const erasures = await loadErasures(sql, [...new Set(told.map(nameOf))])
  return entries.map(entry => {
    const principal = principalOf(entry.event)
    if (principal === undefined) return entry
    const name = nameOf(principal)
    const erased = erasures.get(name)
    return {
      ...entry,
      event: { ...entry.event, principal: { ...principal, name, ...(erased && { erased }) } }
    }
  })
}

const principalOf = (event: LedgerEvent): Principal | undefined =>
  'principal' in event ? event.principal : undefined

/** The name under which a principal is stored; `key`: that of fingerprints. */
export function storedNameOf({ kind, name, isDigest }: Principal, key: string): string {
  if (!isDigest) return name
  const keyed = createHmac('sha256', key).update(`principal\n${name}`).digest('base64url')
  return `${kind}-${keyed.slice(0, FINGERPRINT_CHARACTERS)}`
}
