// Owns the erasure of a principal: an opaque token takes the place of its name in all rows, also in those of events that are told
// later. The store keeps a keyed hash of the name, by which it knows it again.
import { createHmac, randomBytes } from 'node:crypto'
import type { Principal } from '../../../mcp/principal.js'
import { type SessionIds, sessionKey, type StoredId } from '../../../mcp/stored-ids.js'
import type { EpochMs } from '../../../util/time.js'
import type { Erasure } from '../../store-port.js'
import type { Sql } from '../sql-database.js'
import { insertMany, limitTo, marks, runs } from '../statements.js'
import { fingerprintKey } from './fingerprint-key.js'
import { changeSessions, type Ledger } from './session-change.js'

/** Sessions changed in one transaction. Chosen: the longest run of `runs`, which locks their endpoints for a moment only. */
const BATCH_SESSIONS = 256
/** Chosen: nobody finds one that stands for somebody else. */
const TOKEN_BYTES = 12

/** `StoreWriter.erasePrincipal`. */
export async function erasePrincipal(
  ledger: Ledger,
  principal: string,
  now: EpochMs,
  { again = false } = {}
): Promise<Erasure> {
  const token = await ledger.database.write(sql => noteErasure(sql, principal, now))
  let sessions = 0
  for (;;) {
    const changed = await eraseBatch(ledger, principal, token, now, again)
    if (changed === 0) break
    sessions += changed
  }
  await ledger.database.scrub()
  return { token, sessions }
}

/** Erasures by name, of these principals. */
export async function loadErasures(
  sql: Sql,
  names: readonly string[]
): Promise<Map<string, NonNullable<Principal['erased']>>> {
  const found = new Map<string, NonNullable<Principal['erased']>>()
  const known = await sql.all('SELECT token FROM turnstile_erasures LIMIT 1')
  if (known.length === 0 || names.length === 0) return found
  const key = await fingerprintKey(sql)
  const nameOf = new Map(names.map(name => [hashOf(name, key), name]))
  for (const hashes of runs([...nameOf.keys()])) {
    const rows = await sql.all(
      `SELECT name_hash, token, erased_at FROM turnstile_erasures WHERE name_hash IN (${marks(hashes.length)})`,
      hashes
    )
    for (const row of rows)
      found.set(nameOf.get(row.name_hash as string)!, {
        token: row.token as string,
        at: row.erased_at as EpochMs
      })
  }
  return found
}

/** The token of a principal; a new one, unless its name was erased before. */
async function noteErasure(sql: Sql, principal: string, now: EpochMs): Promise<string> {
  const { time, onConflict } = sql.dialect
  const hash = hashOf(principal, await fingerprintKey(sql))
  const token = `erased-${randomBytes(TOKEN_BYTES).toString('base64url')}`
  await insertMany(
    sql,
    'turnstile_erasures',
    ['name_hash', 'token', 'erased_at'],
    [[hash, token, time(now)]],
    onConflict(['name_hash'], [], [], ['erased_at'])
  )
  const [row] = await sql.all('SELECT token FROM turnstile_erasures WHERE name_hash = ?', [hash])
  return row!.token as string
}

async function eraseBatch(
  ledger: Ledger,
  principal: string,
  token: string,
  now: EpochMs,
  again: boolean
): Promise<number> {
  return await changeSessions(ledger, now, async (sql, change) => {
    const only = again ? 'AND (principal_at IS NULL OR principal_at <= ?) ' : ''
    const rows = await sql.all(
      `SELECT endpoint_id, session_id FROM endpoint_logs_v2 WHERE principal = ? ${only}${limitTo(BATCH_SESSIONS)}`,
      [principal, ...(again ? [sql.dialect.time(now)] : [])]
    )
    const sessions = rows.map((row): SessionIds => ({
      endpointId: row.endpoint_id as StoredId,
      sessionId: row.session_id as StoredId
    }))
    await change.lock(sessions.map(({ endpointId }) => endpointId))
    await change.load(sessions)
    for (const session of sessions) {
      const record = change.get(sessionKey(session))
      // The client of a token may be named like its principal (RFC 9068 §2.2).
      if (record?.principal === principal) change.put({ ...record, principal: token, oauthClient: null })
    }
    return sessions.length
  })
}

const hashOf = (name: string, key: string): string =>
  createHmac('sha256', key).update(`erased\n${name}`).digest('base64url')
