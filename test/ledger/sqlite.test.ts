// Owns the embedded store's tests: the store contract on SQLite in its worker threads.
import { join } from 'node:path'
import t from 'tap'
import { openEmbeddedStore } from '../../src/ledger/sqlite/store.js'
import { storeContract } from './store-contract.js'
import { visitsContract } from './visits-contract.js'

let stores = 0
const openStore = (idleTimeoutMs?: number) =>
  openEmbeddedStore(join(t.testdir(), `${++stores}.db`), idleTimeoutMs)
storeContract('sqlite', openStore)(t)
visitsContract('sqlite', openStore)(t)
