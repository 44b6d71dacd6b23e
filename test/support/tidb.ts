// Owns how the tests start TiDB: one tidb-server with the store that it has for tests (unistore), which no cluster uses.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Program } from './mariadb.js'

/**
 * This store keeps what is prepared, and not yet committed, in memory. So that what it killed with SIGKILL is whole, each
 * transaction must be committed in one step: all tables are one region, and all its changes one request.
 */
const ONE_STEP = {
  config: 'split-table = false\n',
  sql: `SET GLOBAL tidb_enable_1pc = ON, GLOBAL tidb_txn_commit_batch_size = ${2 ** 30};\n`
}

/** `server`: the path of a tidb-server. */
export const tidbProgram = (server: string): Program => ({
  setUp(folder) {
    writeFileSync(join(folder, 'config.toml'), ONE_STEP.config)
    writeFileSync(join(folder, 'init.sql'), ONE_STEP.sql, { flag: 'a' })
    return undefined
  },
  start: (folder, port) => [
    server,
    [
      '--store=unistore',
      `--path=${join(folder, 'data')}`,
      '--host=127.0.0.1',
      '--advertise-address=127.0.0.1',
      '-P',
      String(port),
      '--report-status=false',
      `--socket=${join(folder, 'sock')}`,
      `--temp-dir=${join(folder, 'tmp')}`,
      `--config=${join(folder, 'config.toml')}`,
      `--initialize-sql-file=${join(folder, 'init.sql')}`,
      `--log-slow-query=${join(folder, 'slow')}`,
      '-L',
      'error'
    ]
  ]
})
