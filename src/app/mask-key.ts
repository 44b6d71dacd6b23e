// Owns the key of masked session ids: made once, and kept in the data directory.
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeDirectory } from '../ledger/sqlite/sqlite-file.js'

const KEY_BYTES = 32

/** To be called by one process at a time. */
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
