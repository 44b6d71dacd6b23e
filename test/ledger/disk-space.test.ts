// Owns what is kept on disk by SQLite files: they shrink again, and an outbox outlives a kill at any place.
import { statSync } from 'node:fs'
import { join } from 'node:path'
import Libsql from 'libsql'
import t from 'tap'
import { openOutbox } from '../../src/ledger/pipeline/outbox.js'
import { openSqlite } from '../../src/ledger/sqlite/sqlite-database.js'
import type { LedgerEvent } from '../../src/sessions/events.js'

const MIB = 1_048_576
/** The file shrinks when SQLite moves its log into it: after 1,000 pages, by default. */
const CHECKPOINT_PAGES = 1_100
const NOW = Date.UTC(2026, 9, 1)
const close = (sessionId: string): LedgerEvent => ({
  type: 'close',
  endpointId: 'e',
  sessionId,
  at: NOW,
  reason: 'gone'
})
const open = (directory: string) => openOutbox({ directory, now: NOW })

void t.test(
  'an outbox that was large is small again within seconds, also one of an older version',
  async t => {
    for (const isOld of [false, true]) {
      const directory = t.testdir()
      const path = join(directory, 'outbox.db')
      if (isOld) {
        const old = new Libsql(path)
        old.exec('CREATE TABLE other (id INTEGER)')
        old.close()
      }
      const outbox = open(directory)
      const events = Array.from({ length: 1_000 }, (_, i) => close(`${'x'.repeat(200)}${i}`))
      for (let i = 0; i < 40; i++) outbox.append(events)
      t.ok(outbox.sizeBytes > 8 * MIB, `${outbox.sizeBytes} bytes`)
      outbox.discard(outbox.lastOffset)
      for (let second = 0; second < CHECKPOINT_PAGES; second++) outbox.alive(NOW + second)
      t.ok(outbox.sizeBytes < 5 * MIB, `${outbox.sizeBytes} bytes`)
      t.ok(statSync(path).size < 5 * MIB, 'on disk')
      await outbox.close()
    }
  }
)

void t.test('an embedded store gives back what retention frees', async t => {
  const path = join(t.testdir(), 'ledger.db')
  const db = openSqlite(path)
  await db.migrate()
  await db.write(async sql => {
    for (let i = 0; i < 60_000; i++)
      await sql.run('INSERT INTO turnstile_keys (name, secret) VALUES (?, ?)', [String(i), 'x'.repeat(200)])
  })
  await db.write(sql => sql.run("DELETE FROM turnstile_keys WHERE name <> '1'"))
  for (let i = 0; i < CHECKPOINT_PAGES; i++)
    await db.write(sql => sql.run('UPDATE turnstile_keys SET secret = ?', [String(i)]))
  await db.close()
  t.ok(statSync(path).size < 5 * MIB, `${statSync(path).size} bytes`)
})

void t.test('an outbox that was killed while it skipped entries goes on', t => {
  const directory = t.testdir()
  // As versions before this one left it between two statements.
  const db = new Libsql(join(directory, 'outbox.db'))
  db.exec(
    'CREATE TABLE outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, boot INTEGER NOT NULL, event TEXT NOT NULL)'
  )
  db.prepare('INSERT INTO outbox (seq, boot, event) VALUES (?, 1, ?)').run(7, JSON.stringify(close('known')))
  db.exec("INSERT INTO outbox (seq, boot, event) VALUES (100, 0, '')")
  db.close()

  const outbox = open(directory)
  t.teardown(() => outbox.close())
  outbox.skipTo(100)
  outbox.append([close('new')])
  const entries = outbox.read(10)
  t.strictSame(
    entries.map(({ offset, event }) => [offset, event.type]),
    [[101, 'close']]
  )
  t.equal(outbox.depth, 1)
  outbox.discard(101)
  t.equal(outbox.depth, 0, 'so the shipper is done')
  t.end()
})
