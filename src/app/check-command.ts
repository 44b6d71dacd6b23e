// Owns `mcp-turnstile check`: prints where counts and roll-ups differ from the sessions, and repairs them if asked.
import type { CheckConfig } from '../config/settings.js'
import { ALL_ENDPOINTS } from '../ledger/model/people.js'
import { checkPrincipals, repairPrincipals } from '../ledger/sql/write/check-principals.js'
import { check, repair } from '../ledger/sql/write/check.js'
import { openDatabase } from './open-database.js'

/**
 * Compares, and repairs if `repair` is set. Resolves with the exit code: 0 when nothing differs (any more), 1 when something
 * differs. Throws when the database cannot be used.
 */
export async function runCheck(options: Pick<CheckConfig, 'store' | 'repair'>): Promise<number> {
  const db = openDatabase(options.store, '--store')
  try {
    await db.migrate()
    const endpoints = new Set<string>()
    let differences = 0
    for await (const { endpointId, figure, off } of check(db)) {
      console.log(`${JSON.stringify(endpointId)} ${figure}: off by ${off}`)
      endpoints.add(endpointId)
      differences++
    }
    const principals = new Set<string>()
    for await (const { principal, endpointId, figure, off } of checkPrincipals(db)) {
      const where = endpointId === ALL_ENDPOINTS ? '' : ` on ${JSON.stringify(endpointId)}`
      console.log(`principal ${JSON.stringify(principal)}${where} ${figure}: off by ${off}`)
      principals.add(principal)
      differences++
    }
    if (options.repair && differences > 0) {
      await repair(db, [...endpoints], Date.now())
      await repairPrincipals(db, [...principals], Date.now())
    }
    const of = `${endpoints.size} endpoints and ${principals.size} principals`
    console.log(`${differences} figures of ${of} differ${options.repair ? 'ed; put right' : ''}`)
    return differences > 0 && !options.repair ? 1 : 0
  } finally {
    await db.close()
  }
}
