// Owns the filling of an empty store with a history: rows, counts and roll-ups as if proxies had written them.
import { PeopleDelta } from '../../../src/ledger/model/people.js'
import { saveRecords } from '../../../src/ledger/sql/session-rows.js'
import { type Database, type Param } from '../../../src/ledger/sql/sql-database.js'
import { insertMany } from '../../../src/ledger/sql/statements.js'
import { savePrincipals } from '../../../src/ledger/sql/write/people-rows.js'
import { dialectOf, inBulk } from './bulk.js'
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

/** `say` is told how far it is. */
export async function fill(
  db: Database,
  history: History,
  say: (progress: string) => void = () => undefined
): Promise<void> {
  const { endAt } = history.options
  await db.migrate()
  const { time } = await dialectOf(db)
  await inBulk(db, async write => {
    const rollups = new Rollups(history.endpointIds, history.startAt, endAt)
    const people = new PeopleDelta()
    await inBatches('sessions', history.sessions(), say, async batch => {
      for (const record of batch) {
        rollups.add(record)
        people.change(undefined, record)
      }
      await write(sql => saveRecords(sql, batch))
    })
    const insert = (
      table: string,
      columns: string[],
      key: string[],
      rows: Iterable<Param[]>
    ): Promise<void> =>
      inBatches(`rows of ${table}`, rows, say, batch =>
        write(sql => insertMany(sql, table, columns, batch, sql.dialect.onConflict(key, [], [])))
      )
    const bucketKey = BUCKET_COLUMNS.slice(0, 2)
    const rowsOf = function* (buckets: Iterable<BucketRow>): Generator<Param[]> {
      for (const b of buckets) yield [time(b.startAt), b.endpointId, b.opened, b.closed, b.netAtStart]
    }
    await insert('endpoint_minutes_v2', BUCKET_COLUMNS, bucketKey, rowsOf(rollups.minutes()))
    await insert('endpoint_days_v2', BUCKET_COLUMNS, bucketKey, rowsOf(rollups.days()))
    const counts = rollups.counts().map(c => {
      const grouped = [...(people.conversations.get(c.endpointId)?.values() ?? [])].filter(num => num > 0)
      const groupedNum = grouped.reduce((sum, num) => sum + num, 0)
      return [c.endpointId, c.connectNum, c.openedNum, groupedNum, grouped.length, time(endAt)]
    })
    await write(sql => savePrincipals(sql, people))
    await insert('endpoint_connections_v2', COUNT_COLUMNS, ['endpoint_id'], counts)
    say('building indexes')
  })
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
