// Owns which store a `--store` setting names.
import type { StoreLocation } from '../config/settings.js'
import { openMysql } from '../ledger/mysql/mysql-database.js'
import { sqlStore } from '../ledger/sql/sql-store.js'
import { embeddedStore } from '../ledger/sqlite/sqlite-store.js'
import type { Store } from '../ledger/store-port.js'

/** Connects when first used. `idleTimeoutMs`: as for `sqlStore`. */
export const storeAt = (location: StoreLocation, idleTimeoutMs: number): Store =>
  location.kind === 'sqlite'
    ? embeddedStore(location.path, idleTimeoutMs)
    : sqlStore(openMysql(location.url), { idleTimeoutMs })
