// Owns the embedded store's tests: the store contract on SQLite in its worker threads.
import { join } from 'node:path'
import t from 'tap'
import { openEmbeddedStore } from '../../src/ledger/sqlite/store.js'
import { storeContract } from './store-contract.js'

let stores = 0
storeContract('sqlite', idleTimeoutMs =>
  openEmbeddedStore(join(t.testdir(), `${++stores}.db`), idleTimeoutMs)
)(t)
