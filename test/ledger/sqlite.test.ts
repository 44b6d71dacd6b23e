// Owns the embedded store's tests: the store contract on SQLite in its worker threads.
import { join } from 'node:path'
import t from 'tap'
import { embeddedStore } from '../../src/ledger/sqlite/store.js'
import { metricsContract } from './metrics-contract.js'
import { storeContract } from './store-contract.js'
import { visitsContract } from './visits-contract.js'

let stores = 0
const openStore = async (idleTimeoutMs = 0) => {
  const store = embeddedStore(join(t.testdir(), `${++stores}.db`), idleTimeoutMs)
  await store.migrate()
  return store
}
storeContract('sqlite', openStore)(t)
visitsContract('sqlite', openStore)(t)
metricsContract('sqlite', openStore)(t)
