// Owns which store a `--store` setting names.
import type { StoreLocation } from '../config/setting-kinds.js'
import { openMysql } from '../ledger/mysql/mysql-database.js'
import type { MysqlOptions } from '../ledger/mysql/mysql-pool.js'
import { sqlStore } from '../ledger/sql/sql-store.js'
import { embeddedStore } from '../ledger/sqlite/sqlite-store.js'
import type { LedgerRules, Store } from '../ledger/store-port.js'

/**
 * A store that connects when it is first called. `rules`: as for `sqlStore`; `options`: how many such stores the proxy has,
 * and the log for what goes wrong with connections.
 */
export const openStore = (location: StoreLocation, rules: LedgerRules, options: MysqlOptions): Store =>
  location.kind === 'sqlite'
    ? embeddedStore(location.path, rules)
    : sqlStore(openMysql(location.url, options), rules)
