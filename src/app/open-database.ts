// Owns which database a setting names, for the commands that use it without a proxy.
import { existsSync } from 'node:fs'
import { ConfigError } from '../config/read-settings.js'
import type { StoreLocation } from '../config/setting-kinds.js'
import { openMysql } from '../ledger/mysql/mysql-database.js'
import type { Database } from '../ledger/sql/sql-database.js'
import { openSqlite } from '../ledger/sqlite/sqlite-database.js'

/** A command may be silent within a transaction while it works on another database. Chosen: no copy takes a day. */
const SILENCE_S = 86_400

/** Connects when it is first used. With `flag`, the setting that names it, an SQLite file must exist: else `ConfigError`. */
export function openDatabase(location: StoreLocation, flag?: string): Database {
  if (location.kind === 'mysql') return openMysql(location.url, { silenceS: SILENCE_S })
  if (flag !== undefined && !existsSync(location.path))
    throw new ConfigError('BAD_VALUE', `there is no database at ${location.path}: give its ${flag}`)
  return openSqlite(location.path)
}
