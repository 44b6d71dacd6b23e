// Owns `npm run test:tidb`: the tests of the store and the chaos run, on TiDB instead of MariaDB.
// Environment: CHAOS_MINUTES (2), TEST_SEED.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { tidbServer } from './build.js'

/** Those of the store. */
const TESTS = ['test/ledger/mysql.test.ts', 'test/ledger/check.test.ts', 'test/ledger/query-plans.test.ts']

const env = { CHAOS_MINUTES: '2', ...process.env, TEST_TIDB_SERVER: await tidbServer() }
for (const args of [['dist/test/run.js', ...TESTS], ['dist/test/chaos/run.js']]) {
  const [code] = (await once(spawn(process.execPath, args, { env, stdio: 'inherit' }), 'exit')) as [
    number | null
  ]
  if (code !== 0) process.exitCode = 1
}
