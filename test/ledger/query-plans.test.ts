// Owns the query plans, on SQLite and MySQL alike: no statement of the ledger reads a big table from end to end, and
// those that look through many sessions read an index alone.
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import Libsql from 'libsql'
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise'
import t, { type Test } from 'tap'
import { floorTo } from '../../src/ledger/model/rollup.js'
import { openMysql } from '../../src/ledger/mysql/mysql-database.js'
import { isTidb } from '../../src/ledger/mysql/mysql-tidb.js'
import type { Database, Param, Row, Sql } from '../../src/ledger/sql/sql-database.js'
import { sqlStore } from '../../src/ledger/sql/sql-store.js'
import { checkPrincipals } from '../../src/ledger/sql/write/check-principals.js'
import { check } from '../../src/ledger/sql/write/check.js'
import { openSqlite } from '../../src/ledger/sqlite/sqlite-database.js'
import type { InstanceIdentity, OutboxEntry, Store } from '../../src/ledger/store-port.js'
import { unknownClient } from '../../src/mcp/client-info.js'
import type { LedgerEvent } from '../../src/sessions/events.js'
import { DAY_MS, MINUTE_MS } from '../../src/util/time.js'
import { fill } from '../bench/history/fill.js'
import { History } from '../bench/history/history.js'
import { freshDatabase } from '../support/mariadb.js'
import { Random } from '../support/random.js'

const BIG_TABLES = [
  'endpoint_logs_v2',
  'endpoint_minutes_v2',
  'endpoint_days_v2',
  'endpoint_tools_v2',
  'turnstile_visits',
  'turnstile_principals'
]
const DAYS = 10
const START = Date.UTC(2026, 9, 1)
const END = START + DAYS * DAY_MS
const HOUR_MS = 60 * MINUTE_MS

/** Enough rows that reading an index pays. */
const history = (): History =>
  new History(new Random(1), {
    endedSessions: 20_000,
    openSessions: 500,
    principals: 300,
    endpoints: 50,
    days: DAYS,
    endAt: END
  })

interface Recorded {
  /** Which method of the store ran it. */
  by: string
  text: string
  params: readonly Param[]
}

/** Remembers each statement that passes, and the parameters of its first run. */
class Recorder {
  readonly statements = new Map<string, Recorded>()
  by = ''

  database(db: Database): Database {
    const recording = (sql: Sql): Sql => ({
      ...sql,
      all: (text, params = []) => {
        this.#note(text, params)
        return sql.all(text, params)
      },
      run: (text, params = []) => {
        this.#note(text, params)
        return sql.run(text, params)
      }
    })
    return {
      ...db,
      read: work => db.read(sql => work(recording(sql))),
      write: work => db.write(sql => work(recording(sql)))
    }
  }

  #note(text: string, params: readonly Param[]): void {
    if (!this.statements.has(text)) this.statements.set(text, { by: this.by, text, params })
  }
}

async function drain(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

/** Runs whatever reads or writes sessions, in all its shapes. */
async function exercise(
  store: Store,
  recorder: Recorder,
  [busy, quiet]: readonly [string, string]
): Promise<void> {
  const as = (by: string): void => void (recorder.by = by)
  const noon = START + 4 * DAY_MS + 12 * HOUR_MS
  const hour = { start: noon, end: noon + HOUR_MS }

  as('connections')
  const [first] = await store.connections({ ...hour, limit: 1 })
  for (const endpoint of [{}, { endpointId: busy }, { endpointId: quiet }]) {
    for (const transport of [{}, { transport: 2 as const }]) {
      const after = { connectAt: first!.connectAt, id: first!.id }
      await store.connections({ ...hour, ...endpoint, ...transport, limit: 100 })
      await store.connections({ ...hour, ...endpoint, ...transport, limit: 100, after })
      await store.connections({ start: END, end: END, ...endpoint, ...transport, open: true, limit: 100 })
    }
  }
  const { principal, conversation } = (await store.connections({ ...hour, limit: 1_000 })).find(
    row => row.principal !== null && row.conversation !== null
  )!
  for (const endpoint of [{}, { endpointId: busy }]) {
    for (const whose of [{ principal: principal! }, { conversation: conversation! }]) {
      as('connections')
      await store.connections({ ...hour, ...endpoint, ...whose, limit: 100 })
      as('openCounts')
      await store.openCounts({ ...endpoint, ...whose })
      await store.totals({ ...endpoint, ...whose })
    }
    as('openCounts')
    await store.openCounts({ ...endpoint, transport: 2 })
    await store.openCounts(endpoint)
    as('principals')
    const [busiest] = await store.principals({ ...endpoint, limit: 10 })
    await store.principals({ ...endpoint, limit: 10, after: busiest! })
  }
  as('principalSessions')
  for (const limit of [0, 100]) {
    const owner = { kind: 'oauth', name: principal! } as const
    await store.principalSessions({ principal: owner, instanceId: 'proxy-of-this-test', limit })
  }
  as('session')
  await store.session(first!.sessionId)
  as('legacySessions')
  await store.legacySessions([first!.sessionId, 'unknown'])
  as('counts')
  for (const transport of [{}, { transport: 2 as const }]) {
    await store.counts(transport)
    await store.counts({ endpointId: busy, ...transport })
  }
  as('liveCounts')
  await store.liveCounts({ instanceId: 'proxy-of-this-test' })
  as('series')
  for (const day of [0, 5, DAYS - 1]) {
    const morning = floorTo(START + day * DAY_MS, DAY_MS)
    for (const start of [morning, morning + 3 * HOUR_MS, morning + 20 * HOUR_MS]) {
      for (const peak of [true, false]) {
        await drain(store.series({ start, end: start + HOUR_MS, peak }))
        await drain(store.series({ start, end: start + DAY_MS - MINUTE_MS, peak, endpointId: busy }))
      }
    }
  }
  await drain(store.series({ start: START, end: END, peak: false, endpointId: busy }))

  as('toolUsage')
  for (const by of ['hour', 'day', 'total'] as const)
    for (const endpoint of [{}, { endpointId: busy }])
      await store.toolUsage({ ...hour, ...endpoint, by, limit: 1_000 })

  as('apply')
  const proxy: InstanceIdentity = { id: 'proxy-of-this-test', boot: 2 }
  await store.register(proxy, END)
  const told = [...entries(busy, first!.sessionId), ...beyondLimit(), ...toolUses(busy), ...visits(busy)]
  for (let i = 0; i < told.length; i += 1_000)
    await store.apply(proxy, numbered(told.slice(i, i + 1_000), i), END)
  as('loseStreams')
  await store.loseStreams(proxy.id, END, END)
  as('closeIdle')
  while ((await store.closeIdle(END)).length > 0);
  as('deleteEnded')
  await store.deleteEnded(START + DAY_MS)
  as('deleteRollups')
  await store.deleteRollups(START + DAY_MS)
  as('deleteEndpoint')
  while ((await store.deleteEndpoint('other', END)) === 'more');
}

/** A batch with all kinds of events: known and unknown sessions, a restart. */
function entries(endpointId: string, known: string): LedgerEvent[] {
  const at = END
  const client = { clientAddress: '127.0.0.1', userAgent: null, requests: 1 }
  const events: LedgerEvent[] = [{ type: 'restart', at }]
  for (let i = 0; i < 341; i++) {
    const session = { endpointId, sessionId: `new-${i}` }
    events.push({ type: 'open', ...session, transport: 1, at, held: true, ...client })
    if (i % 2 === 0) events.push({ type: 'close', ...session, at: at + 1, reason: 'stream_end' })
  }
  events.push({ type: 'use', endpointId, sessionId: known, transport: 2, at, requests: 1 })
  events.push({ type: 'close', endpointId, sessionId: 'unknown', at, reason: 'delete' })
  return events
}

/** A session that opens and ends on an endpoint that finds no room. */
function beyondLimit(): LedgerEvent[] {
  const session = { endpointId: 'beyond the limit', sessionId: 'of it' }
  const opened = {
    transport: 2,
    at: END,
    held: false,
    clientAddress: '',
    userAgent: null,
    requests: 1
  } as const
  return [
    { type: 'open', ...session, ...opened },
    { type: 'close', ...session, at: END + 1, reason: 'delete' }
  ]
}

/** Ten tools in each hour. */
function toolUses(endpointId: string): LedgerEvent[] {
  const sums = { calls: 1, errors: 0, durationSumMs: 5, durationMaxMs: 5 }
  return Array.from({ length: (DAYS * DAY_MS) / HOUR_MS }, (_, hour) => START + hour * HOUR_MS).flatMap(at =>
    Array.from({ length: 10 }, (_, i): LedgerEvent => ({
      type: 'tool',
      endpointId,
      tool: `t${i}`,
      at,
      ...sums
    }))
  )
}

/** Session-less clients: 5,000, and two visits of one that turn out to be the same. */
function visits(endpointId: string): LedgerEvent[] {
  const visit = (visitor: string, at: number): LedgerEvent => ({
    type: 'visit',
    endpointId,
    sessionId: randomUUID(),
    visitor,
    from: at,
    at,
    clientAddress: '127.0.0.1',
    userAgent: null,
    requests: 1,
    who: unknownClient
  })
  const clients = Array.from({ length: 5_000 }, (_, i) => visit(`client-${i}`, END - 2 * DAY_MS))
  const [before, between, after] = [-50_000, 0, 50_000].map(offset => visit('one', END + offset))
  return [before!, after!, ...clients, between!]
}

const numbered = (events: readonly LedgerEvent[], before: number): OutboxEntry[] =>
  events.map((event, i) => ({ offset: before + i + 1, boot: 2, event }))

interface Plans {
  explain: (statement: Recorded) => Promise<Row[]>
  /** A step that reads a big table from end to end. */
  isFullScan: (step: Row) => boolean
  /** A step that finds sessions by an index that lacks something, so that it reads the rows behind it too. */
  isHalfCovered: (step: Row) => boolean
}

const everyMethod = [
  'apply',
  'check',
  'checkPrincipals',
  'closeIdle',
  'connections',
  'counts',
  'deleteEnded',
  'deleteEndpoint',
  'deleteRollups',
  'legacySessions',
  'liveCounts',
  'openCounts',
  'principalSessions',
  'principals',
  'series',
  'session',
  'toolUsage'
]
/** Readers that may meet many more sessions than they answer. */
const indexOnly = ['check', 'connections', 'counts', 'liveCounts', 'series']

/** Checks every recorded statement that reads a big table. */
async function checkPlans(t: Test, { statements }: Recorder, plans: Plans): Promise<void> {
  const asked = [...statements.values()].filter(
    ({ text }) => !text.startsWith('INSERT') && BIG_TABLES.some(table => text.includes(table))
  )
  const limits = [...statements.values()].filter(({ text }) => text.includes('LIMIT ?'))
  t.same(limits, [], 'TiDB refuses what mysql2 binds there')
  for (const statement of asked) {
    const plan = await plans.explain(statement)
    const scans = plan.filter(plans.isFullScan)
    if (scans.length > 0) t.fail(`a full scan in ${statement.by}`, { ...statement, scans })
    // Of the open sessions of an endpoint the rows may be read.
    const isOfIndex = indexOnly.includes(statement.by) && !statement.text.includes('COUNT(conversation)')
    const rowReads = isOfIndex ? plan.filter(plans.isHalfCovered) : []
    if (rowReads.length > 0)
      t.fail(`more than the index is read in ${statement.by}`, { ...statement, rowReads })
  }
  const methods = new Set(asked.map(({ by }) => by))
  t.same([...methods].sort(), everyMethod, `${asked.length} statements`)
}

const endpointsOf = ({ endpointIds }: History): readonly [string, string] => [
  endpointIds[0]!,
  endpointIds.at(-1)!
]

void t.test('SQLite', async t => {
  const path = join(t.testdir(), 'plans.db')
  const told = history()
  await fill(`sqlite:${path}`, told)
  const db = openSqlite(path)
  const asking = new Libsql(path)
  t.teardown(() => db.close())
  t.teardown(() => asking.close())
  const recorder = new Recorder()
  await exercise(
    sqlStore(recorder.database(db), { idleTimeoutMs: MINUTE_MS, maxEndpoints: 1 }),
    recorder,
    endpointsOf(told)
  )
  recorder.by = 'check'
  await drain(check(recorder.database(db)))
  recorder.by = 'checkPrincipals'
  await drain(checkPrincipals(recorder.database(db)))
  await checkPlans(t, recorder, {
    explain: ({ text, params }) =>
      Promise.resolve(asking.prepare(`EXPLAIN QUERY PLAN ${text}`).all([...params]) as Row[]),
    isFullScan: ({ detail }) => BIG_TABLES.some(table => String(detail).startsWith(`SCAN ${table}`)),
    isHalfCovered: ({ detail }) => /^SEARCH endpoint_logs_v2 USING INDEX/.test(String(detail))
  })
})

const mysqlPlans = (db: Database): Plans => ({
  explain: ({ text, params }) => db.read(sql => sql.all(`EXPLAIN ${text}`, params)),
  isFullScan: ({ table, type }) => BIG_TABLES.includes(String(table)) && (type === 'ALL' || type === 'index'),
  isHalfCovered: ({ table, key, Extra }) =>
    table === 'endpoint_logs_v2' && key !== 'PRIMARY' && !/Using index(?! condition)/.test(String(Extra))
})

/** TiDB looks up hundreds of values one by one only where the table has many more rows. Seen: 256 of 5,000 are a full scan. */
const SMALL_ON_TIDB = 10_000

/** One row a step: `id` is its kind, behind lines that draw the tree, `access object` the table that it reads. */
const tidbPlans = (db: Database, asking: Connection): Plans => {
  const tableOf = (step: Row): string => /table:(\w+)/.exec(String(step['access object']))?.[1] ?? ''
  return {
    explain: ({ by, text, params }) =>
      // Where some principals have a tenth of the sessions, TiDB reads them all: a choice of its own, for a command.
      by === 'checkPrincipals'
        ? Promise.resolve([])
        : db
            .read(sql => sql.all(`EXPLAIN ${text}`, params))
            // TiDB (July 2024) explains a prepared DELETE of one key with "index out of range".
            .catch(async () => (await asking.query<RowDataPacket[]>(`EXPLAIN ${text}`, [...params]))[0]),
    isFullScan: step =>
      BIG_TABLES.includes(tableOf(step)) &&
      /(Table|Index)FullScan/.test(String(step.id)) &&
      Number(step['estRows']) > SMALL_ON_TIDB,
    isHalfCovered: step => tableOf(step) === 'endpoint_logs_v2' && /TableRowIDScan/.test(String(step.id))
  }
}

void t.test('MySQL', async t => {
  const url = await freshDatabase(process.env['TEST_MYSQL_URL']!)
  const told = history()
  await fill(url, told)
  const db = openMysql(url)
  const asking = await createConnection(url)
  t.teardown(() => asking.destroy())
  t.teardown(() => db.close())
  const recorder = new Recorder()
  await exercise(
    sqlStore(recorder.database(db), { idleTimeoutMs: MINUTE_MS, maxEndpoints: 1 }),
    recorder,
    endpointsOf(told)
  )
  recorder.by = 'check'
  await drain(check(recorder.database(db)))
  recorder.by = 'checkPrincipals'
  await drain(checkPrincipals(recorder.database(db)))
  const onTidb = await isTidb(text => db.read(sql => sql.all(text)))
  // Of MariaDB not ANALYZE: what was closed is counted in an index until it is purged.
  await db.write(sql => sql.all(`${onTidb ? 'ANALYZE' : 'OPTIMIZE'} TABLE ${BIG_TABLES.join(', ')}`))
  await checkPlans(t, recorder, onTidb ? tidbPlans(db, asking) : mysqlPlans(db))
})
