// Owns `check` and `repair`: figures that differ from the rows are found and put right, on every database.
import { join } from 'node:path'
import t from 'tap'
import { openMysql } from '../../src/ledger/mysql/mysql-database.js'
import { census } from '../../src/ledger/sql/read/census.js'
import type { Database, Sql } from '../../src/ledger/sql/sql-database.js'
import { apply } from '../../src/ledger/sql/write/apply.js'
import { checkEvents } from '../../src/ledger/sql/write/check-events.js'
import {
  checkPrincipals,
  type PrincipalDifference,
  repairPrincipals
} from '../../src/ledger/sql/write/check-principals.js'
import { check, type Difference, repair } from '../../src/ledger/sql/write/check.js'
import { register } from '../../src/ledger/sql/write/instances.js'
import { deleteEnded } from '../../src/ledger/sql/write/retention.js'
import type { Ledger } from '../../src/ledger/sql/write/session-change.js'
import { openSqlite } from '../../src/ledger/sqlite/sqlite-database.js'
import type { OutboxEntry } from '../../src/ledger/store-port.js'
import { freshDatabase, startDatabase } from '../support/mariadb.js'

const NOON = Date.UTC(2026, 9, 1, 12)
const instance = { id: 'proxy', boot: 1 }

const server = await startDatabase()
t.teardown(() => server.stop())

const databases: [name: string, open: (directory: string) => Promise<Database>][] = [
  ['sqlite', directory => Promise.resolve(openSqlite(join(directory, 'ledger.db')))],
  ['mysql', async () => openMysql(await freshDatabase(server.url))]
]

function entries(): OutboxEntry[] {
  const sessions = ['a', 'b', 'c']
  const opens = sessions.map((sessionId, i) => ({
    type: 'open' as const,
    endpointId: 'e',
    sessionId,
    transport: 2 as const,
    at: NOON + i * 1000,
    clientAddress: '',
    userAgent: null,
    requests: 1,
    held: false
  }))
  const close = {
    type: 'close' as const,
    endpointId: 'e',
    sessionId: 'a',
    at: NOON + 90_000,
    reason: 'delete' as const
  }
  return [...opens, close].map((event, i) => ({ offset: i + 1, boot: 1, event }))
}

const ledgerIn = (database: Database): Ledger => ({
  database,
  rules: { idleTimeoutMs: 0 },
  onCommitted: () => undefined
})

async function found(db: Database): Promise<Difference[]> {
  const all: Difference[] = []
  for await (const difference of check(db)) all.push(difference)
  return all
}

async function foundOfPrincipals(db: Database): Promise<PrincipalDifference[]> {
  const all: PrincipalDifference[] = []
  for await (const difference of checkPrincipals(db)) all.push(difference)
  return all
}

for (const [name, open] of databases) {
  void t.test(`${name}: what was tampered with is found and put right`, async t => {
    const db = await open(t.testdir())
    t.teardown(() => db.close())
    await db.migrate()
    await register(db, instance, NOON)
    await apply(ledgerIn(db), instance, entries(), NOON)
    t.same(await found(db), [], 'nothing differs at first')

    await db.write(async sql => {
      await sql.run('UPDATE endpoint_connections_v2 SET connect_num = 7')
      await sql.run('UPDATE endpoint_minutes_v2 SET opened = opened - 1 WHERE start_at = ?', [
        sql.dialect.time(NOON)
      ])
      await sql.run('DELETE FROM endpoint_days_v2')
    })
    t.same(await found(db), [
      { endpointId: 'e', figure: 'connect_num', off: -5 },
      { endpointId: 'e', figure: 'endpoint_minutes_v2 2026-10-01T12:00:00.000Z opened', off: 1 },
      { endpointId: 'e', figure: 'endpoint_days_v2 2026-10-01T00:00:00.000Z opened', off: 3 },
      { endpointId: 'e', figure: 'endpoint_days_v2 2026-10-01T00:00:00.000Z closed', off: 1 }
    ])
    t.equal((await census(db, { named: ['e'] })).drift, 5, 'metrics tell it too')
    await repair(db, ['e'], NOON)
    t.same(await found(db), [])
    t.equal((await census(db, { named: ['e'] })).drift, 0)
  })

  void t.test(`${name}: events that were tampered with are found`, async t => {
    const db = await open(t.testdir())
    t.teardown(() => db.close())
    await db.migrate()
    const nothing = { events: 0, since: null, open: 0, openBefore: 0, differences: [] }
    t.strictSame(await checkEvents(db), nothing)
    await register(db, instance, NOON)
    await apply(ledgerIn(db), instance, entries(), NOON)
    t.strictSame(await checkEvents(db), { ...nothing, events: 4, since: NOON, open: 2 })
    const differences = async (...statements: string[]) => {
      for (const statement of statements) await db.write(sql => sql.run(statement))
      const found = (await checkEvents(db)).differences
      return found.map(({ sessionId, what }) => (sessionId === null ? what : `${sessionId} ${what}`))
    }
    t.strictSame(
      await differences('UPDATE turnstile_feed SET seq = 9 WHERE seq = 4'),
      [],
      'their order is that of seq'
    )
    t.strictSame(await differences("UPDATE turnstile_feed SET session_id = 'x' WHERE seq = 9"), [
      'c is open, and no event says so',
      'x is open by its events, and not among the sessions'
    ])
    t.strictSame(
      await differences(
        "UPDATE turnstile_feed SET session_id = 'c' WHERE seq = 9",
        "UPDATE turnstile_feed SET session_id = 'b', seq = 10 WHERE reason IS NOT NULL"
      ),
      ['b is open, and no event says so', 'a is open by its events, and not among the sessions']
    )
    t.strictSame(
      await differences(
        "UPDATE turnstile_feed SET session_id = 'a', seq = 2 WHERE reason IS NOT NULL",
        'UPDATE endpoint_connections_v2 SET connect_num = 5'
      ),
      ['connect_num is off by -3']
    )
    await db.write(sql => sql.run('UPDATE endpoint_connections_v2 SET connect_num = 2'))
    // As retention leaves it, and a session that is known to have opened before.
    const early = (sql: Sql) => sql.dialect.time(NOON - 60_000)
    await db.write(sql => sql.run('UPDATE turnstile_feed SET connect_at = ?', [early(sql)]))
    await db.write(sql => sql.run('UPDATE endpoint_logs_v2 SET connect_at = ?', [early(sql)]))
    await db.write(sql => sql.run('DELETE FROM turnstile_feed WHERE reason IS NULL'))
    t.match(await checkEvents(db), { events: 1, open: 0, openBefore: 2, differences: [] })
    t.strictSame(await differences("UPDATE turnstile_feed SET session_id = 'b'"), [
      'b is open, and closed by its events',
      'connect_num is off by -1'
    ])
  })

  void t.test(`${name}: so is what was tampered with of principals`, async t => {
    const db = await open(t.testdir())
    t.teardown(() => db.close())
    await db.migrate()
    await register(db, instance, NOON)
    const principal = { kind: 'oauth' as const, name: 'ann' }
    const told = entries().map(({ event, ...entry }) => ({
      ...entry,
      event: event.type === 'open' ? { ...event, principal } : event
    }))
    await apply(ledgerIn(db), instance, told, NOON)
    t.same(await foundOfPrincipals(db), [], 'nothing differs at first')

    const columns = 'endpoint_id, principal, active_num, session_num, request_num, last_seen_at'
    await db.write(async sql => {
      await sql.run("UPDATE turnstile_principals SET active_num = 0 WHERE endpoint_id = ''")
      await sql.run("DELETE FROM turnstile_principals WHERE endpoint_id = 'e'")
      await sql.run(`INSERT INTO turnstile_principals (${columns}) VALUES ('e', 'nobody', 0, 1, 4, ?)`, [
        sql.dialect.time(NOON)
      ])
    })
    const ofAnn = { principal: 'ann', endpointId: 'e' }
    const ofNobody = { principal: 'nobody', endpointId: 'e' }
    t.same(await foundOfPrincipals(db), [
      { principal: 'ann', endpointId: '', figure: 'active_num', off: 2 },
      { ...ofAnn, figure: 'active_num', off: 2 },
      { ...ofAnn, figure: 'session_num', off: 3 },
      { ...ofAnn, figure: 'request_num', off: 3 },
      { ...ofNobody, figure: 'session_num', off: -1 },
      { ...ofNobody, figure: 'request_num', off: -4 }
    ])
    await repairPrincipals(db, ['ann', 'nobody'], NOON)
    t.same(await foundOfPrincipals(db), [])
    const rows = await db.read(sql => sql.all('SELECT * FROM turnstile_principals ORDER BY endpoint_id'))
    t.match(rows, [
      { principal: 'ann', endpoint_id: '', active_num: 2, session_num: 3 },
      { principal: 'ann', endpoint_id: 'e', principal_kind: 'oauth', last_seen_at: NOON + 2_000 }
    ])
    t.equal(rows.length, 2)
  })

  void t.test(`${name}: an endpoint without a count is found by its sessions`, async t => {
    const db = await open(t.testdir())
    t.teardown(() => db.close())
    await db.migrate()
    await register(db, instance, NOON)
    await apply(ledgerIn(db), instance, entries(), NOON)
    await db.write(sql => sql.run('DELETE FROM endpoint_connections_v2'))
    t.same(await found(db), [
      { endpointId: 'e', figure: 'connect_num', off: 2 },
      { endpointId: 'e', figure: 'opened_num', off: 3 }
    ])
    await deleteEnded(db, NOON + 100_000)
    t.same(await found(db), [
      { endpointId: 'e', figure: 'connect_num', off: 2 },
      { endpointId: 'e', figure: 'opened_num', off: 2 }
    ])
    await repair(db, ['e'], NOON)
    t.same(await found(db), [])
    const [row] = await db.read(sql => sql.all('SELECT * FROM endpoint_connections_v2'))
    t.match(row, { endpoint_id: 'e', connect_num: 2 })
  })

  void t.test(`${name}: an endpoint of which only roll-ups are left is found by them`, async t => {
    const db = await open(t.testdir())
    t.teardown(() => db.close())
    await db.migrate()
    await register(db, instance, NOON)
    await apply(ledgerIn(db), instance, entries(), NOON)
    for (const table of ['endpoint_connections_v2', 'endpoint_logs_v2', 'endpoint_minutes_v2'])
      await db.write(sql => sql.run(`DELETE FROM ${table}`))
    t.same(await found(db), [
      { endpointId: 'e', figure: 'endpoint_days_v2 2026-10-01T00:00:00.000Z opened', off: -3 },
      { endpointId: 'e', figure: 'endpoint_days_v2 2026-10-01T00:00:00.000Z closed', off: -1 }
    ])
    await repair(db, ['e'], NOON)
    t.same(await found(db), [])
  })

  void t.test(`${name}: what retention deleted is not missed`, async t => {
    const db = await open(t.testdir())
    t.teardown(() => db.close())
    await db.migrate()
    await register(db, instance, NOON)
    await apply(ledgerIn(db), instance, entries(), NOON)
    t.equal(await deleteEnded(db, NOON + 100_000), 1)
    t.same(await found(db), [])
  })
}
