// Owns the filling of an empty store with a history: rows, counts and roll-ups as if proxies had written them.
import { PeopleDelta } from '../../../src/ledger/model/people.js'
import { saveRecords } from '../../../src/ledger/sql/session-rows.js'
import type { Dialect, Param } from '../../../src/ledger/sql/sql-database.js'
import { insertMany } from '../../../src/ledger/sql/statements.js'
import { savePrincipals } from '../../../src/ledger/sql/write/people-rows.js'
import { inBulk, openDatabase, type Write } from './bulk.js'
import type { History } from './history.js'
import { type BucketRow, Rollups } from './rollups.js'

/** A multiple of the longest run of `insertMany`. */
const BATCH_ROWS = 12_800
const PROGRESS_BATCHES = 100

const BUCKET_COLUMNS = ['start_at', 'endpoint_id', 'opened', 'closed', 'net_at_start']
const COUNT_COLUMNS = [
  'endpoint_id',
  'connect_num',
  'opened_num',
  'grouped_num',
  'conversation_num',
  'updated_at'
]

/** `store`: as the setting `--store`. `say` is told how far it is. */
export async function fill(
  store: string,
  history: History,
  say: (progress: string) => void = () => undefined
): Promise<void> {
  const db = openDatabase(store)
  try {
    await db.migrate()
    await inBulk(store, db, write => fillEmpty(write, history, say))
  } finally {
    await db.close()
  }
}

async function fillEmpty(write: Write, history: History, say: (progress: string) => void): Promise<void> {
  const { endAt } = history.options
  const rollups = new Rollups(history.endpointIds, history.startAt, endAt)
  const people = new PeopleDelta()
  await inBatches('sessions', history.sessions(), say, async batch => {
    for (const record of batch) {
      rollups.add(record)
      people.change(undefined, record)
    }
    await write(sql => saveRecords(sql, batch))
  })
  /** Rows from what the dialect makes of instants. */
  const insert = (
    table: string,
    columns: string[],
    key: string[],
    rows: Iterable<(time: Dialect['time']) => Param[]>
  ): Promise<void> =>
    inBatches(`rows of ${table}`, rows, say, batch =>
      write(sql => {
        const values = batch.map(row => row(sql.dialect.time))
        return insertMany(sql, table, columns, values, sql.dialect.onConflict(key, [], []))
      })
    )
  const bucketKey = BUCKET_COLUMNS.slice(0, 2)
  const rowsOf = function* (buckets: Iterable<BucketRow>): Generator<(time: Dialect['time']) => Param[]> {
    for (const b of buckets) yield time => [time(b.startAt), b.endpointId, b.opened, b.closed, b.netAtStart]
  }
  await insert('endpoint_minutes_v2', BUCKET_COLUMNS, bucketKey, rowsOf(rollups.minutes()))
  await insert('endpoint_days_v2', BUCKET_COLUMNS, bucketKey, rowsOf(rollups.days()))
  await write(sql => savePrincipals(sql, people))
  const counts = rollups.counts().map(c => (time: Dialect['time']): Param[] => {
    const grouped = [...(people.conversations.get(c.endpointId)?.values() ?? [])].filter(num => num > 0)
    const groupedNum = grouped.reduce((sum, num) => sum + num, 0)
    return [c.endpointId, c.connectNum, c.openedNum, groupedNum, grouped.length, time(endAt)]
  })
  await insert('endpoint_connections_v2', COUNT_COLUMNS, ['endpoint_id'], counts)
  say('building indexes')
}

async function inBatches<T>(
  what: string,
  items: Iterable<T>,
  say: (progress: string) => void,
  work: (batch: T[]) => Promise<void>
): Promise<void> {
  let batch: T[] = []
  let total = 0
  const flush = async (): Promise<void> => {
    await work(batch)
    total += batch.length
    batch = []
    if (total % (BATCH_ROWS * PROGRESS_BATCHES) === 0) say(`${total} ${what}`)
  }
  for (const item of items) {
    if (batch.push(item) === BATCH_ROWS) await flush()
  }
  if (batch.length > 0) await flush()
  say(`${total} ${what} in all`)
}
