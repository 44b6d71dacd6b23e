// Owns the key of masked session ids: made once, and kept in the data directory.
import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { makeDirectory } from '../ledger/sqlite/sqlite-file.js'
import { TurnstileError } from '../util/errors.js'

/** As long as what HMAC-SHA-256 gives (RFC 2104 §3). */
const KEY_BYTES = 32

/** The key on disk is no whole key. */
export class MaskKeyError extends TurnstileError {
  readonly code = 'TURNSTILE_MASK_KEY'
}

/**
 * The key in `dataDir`, made if there is none. To be called by one process at a time. Throws `MaskKeyError`, and as the file
 * system does.
 */
export function maskKey(dataDir: string): Buffer {
  const path = join(dataDir, 'mask.key')
  const known = readIfThere(path)
  if (known === undefined) {
    makeDirectory(dataDir)
    return make(path, dataDir)
  }
  if (known.length < KEY_BYTES)
    throw new MaskKeyError(
      `${path} has ${known.length} bytes in place of ${KEY_BYTES}: restore it, or delete it to get another key and with it other masks`
    )
  return known
}

/** A crash leaves the whole key or none. */
function make(path: string, directory: string): Buffer {
  const key = randomBytes(KEY_BYTES)
  const file = openSync(`${path}.new`, 'w', 0o600)
  try {
    writeSync(file, key)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(`${path}.new`, path)
  const folder = openSync(directory, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
  return key
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path)
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return undefined
    throw error
  }
}
