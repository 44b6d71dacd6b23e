// Owns the key of masked session ids: made once, and kept in the data directory.
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeDirectory } from '../ledger/sqlite/sqlite-file.js'

/** As long as what HMAC-SHA-256 gives (RFC 2104 §3). */
const KEY_BYTES = 32

/** The key in `dataDir`, made if there is none. To be called by one process at a time. Throws as the file system does. */
export function maskKey(dataDir: string): Buffer {
  const path = join(dataDir, 'mask.key')
  try {
    return readFileSync(path)
  } catch (error) {
    if ((error as { code?: string }).code !== 'ENOENT') throw error
    makeDirectory(dataDir)
    const key = randomBytes(KEY_BYTES)
    writeFileSync(path, key, { mode: 0o600 })
    return key
  }
}
