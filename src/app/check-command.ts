// Owns `mcp-turnstile check`: prints where counts and roll-ups, or events, differ from the sessions; repairs the former if asked.
import { ConfigError } from '../config/read-settings.js'
import type { CheckConfig } from '../config/settings.js'
import { ALL_ENDPOINTS } from '../ledger/model/people.js'
import type { Database } from '../ledger/sql/sql-database.js'
import { checkEvents } from '../ledger/sql/write/check-events.js'
import { checkPrincipals, repairPrincipals } from '../ledger/sql/write/check-principals.js'
import { check, repair } from '../ledger/sql/write/check.js'
import { openDatabase } from './open-database.js'

/**
 * Compares, and repairs if `repair` is set; `events`: also replays the events. The tables stay as they are. Resolves with the exit
 * code: 0 when nothing differs (any more), 1 when something differs. Throws when the database cannot be used, or has no tables of
 * this version.
 */
export async function runCheck(options: Pick<CheckConfig, 'store' | 'repair' | 'events'>): Promise<number> {
  const db = openDatabase(options.store, '--store')
  try {
    if (!(await db.isUpToDate()))
      throw new ConfigError(
        'BAD_VALUE',
        'the tables of the database are not those of this version: start the proxy on it once, which upgrades them'
      )
    const compared = { endpoints: 0, principals: 0 }
    const endpoints = new Set<string>()
    let differences = 0
    for await (const { endpointId, figure, off } of check(db, () => compared.endpoints++)) {
      console.log(`${JSON.stringify(endpointId)} ${figure}: off by ${off}`)
      endpoints.add(endpointId)
      differences++
    }
    const principals = new Set<string>()
    for await (const { principal, endpointId, figure, off } of checkPrincipals(
      db,
      number => (compared.principals += number)
    )) {
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
    console.log(`compared: ${compared.endpoints} endpoints and ${compared.principals} principals`)
    const isReplayed = !options.events || (await replays(db))
    return isReplayed && (differences === 0 || options.repair) ? 0 : 1
  } finally {
    await db.close()
  }
}

/** Replays the events; prints where they differ from the sessions, and how far they reach. Whether nothing differs. */
async function replays(db: Database): Promise<boolean> {
  const { events, since, open, openBefore, differences } = await checkEvents(db)
  for (const { endpointId, sessionId, what } of differences) {
    const session = sessionId === null ? '' : ` session ${JSON.stringify(sessionId)}`
    console.log(`${JSON.stringify(endpointId)}${session}: ${what}`)
  }
  const from = since === null ? '' : ` since ${new Date(since).toISOString()}`
  console.log(
    `${events} events${from} replayed: ${open} sessions are open by them, ${differences.length} differences`
  )
  if (openBefore > 0)
    console.log(
      `${openBefore} more sessions are open and opened before the events that are kept: no event tells of them`
    )
  return differences.length === 0
}
