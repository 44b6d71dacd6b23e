// Owns the MySQL store's tests: the store contract on a real server.
import mysql from 'mysql2/promise'
import t from 'tap'
import { openMysql } from '../../src/ledger/mysql/mysql-database.js'
import { sqlStore } from '../../src/ledger/sql/sql-store.js'
import type { LedgerRules } from '../../src/ledger/store-port.js'
import { endpointsContract } from '../support/contracts/endpoints-contract.js'
import { eventsContract } from '../support/contracts/events-contract.js'
import { metricsContract } from '../support/contracts/metrics-contract.js'
import { principalsContract } from '../support/contracts/principals-contract.js'
import { storeContract } from '../support/contracts/store-contract.js'
import { toolsContract } from '../support/contracts/tools-contract.js'
import { visitsContract } from '../support/contracts/visits-contract.js'
import { freshDatabase, startDatabase } from '../support/mariadb.js'

const NOON = Date.UTC(2026, 9, 1, 12)

const database = await startDatabase()
t.teardown(() => database.stop())
const openStore = async (rules: LedgerRules) => {
  const store = sqlStore(openMysql(await freshDatabase(database.url)), rules)
  await store.migrate()
  return store
}
storeContract('mysql', openStore)(t)
visitsContract('mysql', openStore)(t)
principalsContract('mysql', openStore)(t)
endpointsContract('mysql', openStore)(t)
eventsContract('mysql', openStore)(t)
metricsContract('mysql', openStore)(t)
toolsContract('mysql', openStore)(t)

void t.test('a heartbeat does not wait for a batch that is being applied', async t => {
  const url = await freshDatabase(database.url)
  const store = sqlStore(openMysql(url), { idleTimeoutMs: 0 })
  await store.migrate()
  const instance = { id: 'this', boot: 1 }
  await store.register(instance, NOON)
  const client = { clientAddress: '192.0.2.1', userAgent: null, requests: 1, held: false }
  const open = { type: 'open', endpointId: 'e', sessionId: 's', transport: 2, at: NOON, ...client } as const
  await store.apply(instance, [{ offset: 1, boot: 1, event: open }], NOON)

  const other = await mysql.createConnection(url)
  t.teardown(async () => {
    await other.end()
    await store.close()
  })
  await other.query('START TRANSACTION')
  await other.query('SELECT * FROM endpoint_connections_v2 FOR UPDATE')
  let isApplied = false
  const close = { type: 'close', endpointId: 'e', sessionId: 's', at: NOON + 1, reason: 'delete' } as const
  const applying = store.apply(instance, [{ offset: 2, boot: 1, event: close }], NOON + 1)
  void applying.then(() => (isApplied = true))
  const waiting =
    "SELECT COUNT(*) AS n FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE '%endpoint_connections_v2%FOR UPDATE'"
  while (Number((await other.query<mysql.RowDataPacket[]>(waiting))[0][0]!['n']) === 0);
  await store.heartbeat(instance, NOON + 2_000)
  t.equal(isApplied, false)
  t.match(await store.instances(NOON), [{ heartbeatAt: NOON + 2_000 }])
  await other.query('COMMIT')
  await applying
  t.same(await store.counts({}), [{ endpointId: 'e', connectNum: 0 }])
})

void t.test(
  'columns and keys that older versions did not have are added, and rows keep what they had',
  async t => {
    const url = await freshDatabase(database.url)
    const store = sqlStore(openMysql(url), { idleTimeoutMs: 0 })
    const connection = await mysql.createConnection(url)
    t.teardown(async () => {
      await connection.end()
      await store.close()
    })
    await store.migrate()
    const instance = { id: 'this', boot: 1 }
    await store.register(instance, NOON)
    const client = { clientAddress: '192.0.2.1', userAgent: null, requests: 1, held: false }
    const open = { type: 'open', endpointId: 'e', sessionId: 's', transport: 2, at: NOON, ...client } as const
    await store.apply(instance, [{ offset: 1, boot: 1, event: open }], NOON)
    const [expected] = await store.session('s')
    const shape = async (): Promise<unknown> => {
      const columns = 'SELECT column_name, column_type, is_nullable, column_default'
      const [rows] = await connection.query<mysql.RowDataPacket[]>(
        `${columns} FROM information_schema.columns WHERE table_schema = DATABASE() ORDER BY table_name, column_name`
      )
      const [keys] = await connection.query<mysql.RowDataPacket[]>(
        'SELECT index_name, seq_in_index, column_name FROM information_schema.statistics WHERE table_schema = DATABASE() ORDER BY table_name, index_name, seq_in_index'
      )
      return [rows, keys]
    }
    const declared = await shape()
    for (const change of [
      'endpoint_logs_v2 DROP KEY conversation_time',
      'endpoint_logs_v2 DROP KEY upstream_time',
      'endpoint_logs_v2 DROP KEY idle_time',
      'endpoint_logs_v2 DROP COLUMN conversation, DROP COLUMN conversation_at, DROP COLUMN client_address',
      // The name is that of a key of today, the columns are not.
      'endpoint_logs_v2 ADD KEY idle_time (last_seen_at)',
      'endpoint_connections_v2 DROP COLUMN grouped_num, DROP COLUMN conversation_num'
    ])
      await connection.query(`ALTER TABLE ${change}`)
    await connection.query('DROP TABLE turnstile_horizon')
    await store.migrate()
    t.same(await shape(), declared)
    t.same(await store.session('s'), [{ ...expected, clientAddress: '' }])
    t.same(await store.counts({}), [{ endpointId: 'e', connectNum: 1 }])
    await store.migrate()
    t.same(await shape(), declared, 'another start changes nothing')
  }
)
