// Owns the MySQL store's tests: the store contract on a real server.
import t from 'tap'
import { openMysql } from '../../src/ledger/mysql/mysql-database.js'
import { sqlStore } from '../../src/ledger/sql/sql-store.js'
import { metricsContract } from '../support/contracts/metrics-contract.js'
import { storeContract } from '../support/contracts/store-contract.js'
import { visitsContract } from '../support/contracts/visits-contract.js'
import { freshDatabase, startDatabase } from '../support/mariadb.js'

const database = await startDatabase()
t.teardown(() => database.stop())
const openStore = async (idleTimeoutMs = 0) => {
  const store = sqlStore(openMysql(await freshDatabase(database.url)), idleTimeoutMs)
  await store.migrate()
  return store
}
storeContract('mysql', openStore)(t)
visitsContract('mysql', openStore)(t)
metricsContract('mysql', openStore)(t)
