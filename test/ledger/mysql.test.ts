// Owns the MySQL store's tests: the store contract on a real server.
import t from 'tap'
import { openMysql } from '../../src/ledger/mysql/database.js'
import { sqlStore } from '../../src/ledger/sql/store.js'
import { freshDatabase, startDatabase } from '../support/mariadb.js'
import { metricsContract } from './metrics-contract.js'
import { storeContract } from './store-contract.js'
import { visitsContract } from './visits-contract.js'

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
