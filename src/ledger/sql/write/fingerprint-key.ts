// Owns the key of the fingerprints that the proxies of a store share: of session-less clients, and of principals.
import { randomBytes } from 'node:crypto'
import type { Sql } from '../sql-database.js'
import { insertMany } from '../statements.js'

/** The key (HMAC-SHA-256, 32 random bytes): made by the first instance that needs it. */
export async function fingerprintKey(sql: Sql): Promise<string> {
  const known = await knownFingerprintKey(sql)
  if (known !== undefined) return known
  const row = ['visitor', randomBytes(32).toString('base64url')]
  await insertMany(sql, 'turnstile_keys', ['name', 'secret'], [row], sql.dialect.onConflict(['name'], [], []))
  return (await knownFingerprintKey(sql))!
}

/** The key; undefined where no instance needed it yet. */
export async function knownFingerprintKey(sql: Sql): Promise<string | undefined> {
  const [row] = await sql.all("SELECT secret FROM turnstile_keys WHERE name = 'visitor'")
  return row?.secret as string | undefined
}
