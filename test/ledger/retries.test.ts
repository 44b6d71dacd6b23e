// Owns that metrics count what was committed: an attempt that the database rolled back and asked to repeat counts nothing.
import { join } from 'node:path'
import t from 'tap'
import type { Database } from '../../src/ledger/sql/sql-database.js'
import { sqlStore } from '../../src/ledger/sql/sql-store.js'
import { openSqlite } from '../../src/ledger/sqlite/sqlite-database.js'
import { expanded } from '../../src/metrics/metric.js'

const NOON = Date.UTC(2026, 9, 1, 12)

/** Runs each transaction twice: first it is rolled back, as after a deadlock. */
const retrying = (db: Database): Database => ({
  ...db,
  async write(work) {
    const rollback = new Error('deadlock')
    await db
      .write(async sql => {
        await work(sql)
        throw rollback
      })
      .catch((error: unknown) => {
        if (error !== rollback) throw error
      })
    return await db.write(work)
  }
})

void t.test('a transaction that was repeated is counted once', async t => {
  const store = sqlStore(retrying(openSqlite(join(t.testdir(), 'ledger.db'))), { idleTimeoutMs: 0 })
  t.teardown(() => store.close())
  await store.migrate()
  const instance = { id: 'proxy', boot: 1 }
  await store.register(instance, NOON)
  const client = { clientAddress: '192.0.2.1', userAgent: null, requests: 1, held: false }
  const session = { endpointId: 'e', sessionId: 's', at: NOON }
  const event = { type: 'open', transport: 2, ...session, ...client } as const
  await store.apply(instance, [{ offset: 1, boot: 1, event }], NOON)
  const metrics = (await store.metrics()).map(expanded)
  const opened = metrics.find(({ name }) => name === 'turnstile_sessions_opened_total')
  t.match(opened?.values, [{ value: 1 }])
  t.same(await store.counts({}), [{ endpointId: 'e', connectNum: 1 }])
})
