// Owns the MySQL store's tests: the store contract on a real server.
import t from 'tap'
import { openMysql } from '../../src/ledger/mysql/mysql-database.js'
import { sqlStore } from '../../src/ledger/sql/sql-store.js'
import type { LedgerRules } from '../../src/ledger/store-port.js'
import { metricsContract } from '../support/contracts/metrics-contract.js'
import { storeContract } from '../support/contracts/store-contract.js'
import { visitsContract } from '../support/contracts/visits-contract.js'
import { freshDatabase, startDatabase } from '../support/mariadb.js'

const database = await startDatabase()
t.teardown(() => database.stop())
const openStore = async (rules: LedgerRules) => {
  const store = sqlStore(openMysql(await freshDatabase(database.url)), rules)
  await store.migrate()
  return store
}
storeContract('mysql', openStore)(t)
visitsContract('mysql', openStore)(t)
metricsContract('mysql', openStore)(t)
