// Owns which store a `--store` setting names.
import type { StoreLocation } from './config.js'
import { openMysql } from './ledger/mysql/database.js'
import { sqlStore } from './ledger/sql/store.js'
import { embeddedStore } from './ledger/sqlite/store.js'
import type { Store } from './ledger/store.js'

/** Connects when first used. `idleTimeoutMs`: as for `sqlStore`. */
export const storeAt = (location: StoreLocation, idleTimeoutMs: number): Store =>
  location.kind === 'sqlite'
    ? embeddedStore(location.path, idleTimeoutMs)
    : sqlStore(openMysql(location.url), idleTimeoutMs)
