// Owns the embedded store's tests: the store contract on SQLite in its worker threads.
import { join } from 'node:path'
import t from 'tap'
import { embeddedStore } from '../../src/ledger/sqlite/sqlite-store.js'
import type { LedgerRules } from '../../src/ledger/store-port.js'
import { endpointsContract } from '../support/contracts/endpoints-contract.js'
import { eventsContract } from '../support/contracts/events-contract.js'
import { metricsContract } from '../support/contracts/metrics-contract.js'
import { principalsContract } from '../support/contracts/principals-contract.js'
import { storeContract } from '../support/contracts/store-contract.js'
import { toolsContract } from '../support/contracts/tools-contract.js'
import { visitsContract } from '../support/contracts/visits-contract.js'

let stores = 0
const openStore = async (rules: LedgerRules) => {
  const store = embeddedStore(join(t.testdir(), `${++stores}.db`), rules)
  await store.migrate()
  return store
}
storeContract('sqlite', openStore)(t)
visitsContract('sqlite', openStore)(t)
principalsContract('sqlite', openStore)(t)
endpointsContract('sqlite', openStore)(t)
eventsContract('sqlite', openStore)(t)
metricsContract('sqlite', openStore)(t)
toolsContract('sqlite', openStore)(t)
