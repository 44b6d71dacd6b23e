// Owns which store a `--store` setting names.
import type { StoreLocation } from '../config/setting-kinds.js'
import { openMysql } from '../ledger/mysql/mysql-database.js'
import { sqlStore } from '../ledger/sql/sql-store.js'
import { embeddedStore } from '../ledger/sqlite/sqlite-store.js'
import type { Store } from '../ledger/store-port.js'

/** A store that connects when it is first called. `idleTimeoutMs`: as for `sqlStore`. */
export const openStore = (location: StoreLocation, idleTimeoutMs: number): Store =>
  location.kind === 'sqlite'
    ? embeddedStore(location.path, idleTimeoutMs)
    : sqlStore(openMysql(location.url), { idleTimeoutMs })
