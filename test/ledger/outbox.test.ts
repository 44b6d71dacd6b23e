// Owns what the outbox says of itself when it cannot be written, and that nothing is lost by that unless it lasts.
import { join } from 'node:path'
import Libsql from 'libsql'
import t, { type Test } from 'tap'
import { type Outbox, openOutbox } from '../../src/ledger/pipeline/outbox.js'
import { Recorder } from '../../src/ledger/pipeline/recorder.js'
import type { LedgerEvent } from '../../src/sessions/events.js'

const log = { error: () => undefined, warn: () => undefined, info: () => undefined }
const close = (sessionId: string): LedgerEvent => ({
  type: 'close',
  endpointId: 'e',
  sessionId,
  at: 1,
  reason: 'delete'
})

/** An outbox that cannot write events of sessions whose id begins with `full`, until one of the session `repaired` is in it. */
function brokenOutbox(t: Test): Outbox {
  const directory = t.testdir()
  const db = new Libsql(join(directory, 'outbox.db'))
  const isRepaired = `EXISTS (SELECT 1 FROM outbox WHERE event LIKE '%"repaired"%')`
  db.exec(
    'CREATE TABLE outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, boot INTEGER NOT NULL, event TEXT NOT NULL)'
  )
  db.exec(
    `CREATE TRIGGER full BEFORE INSERT ON outbox WHEN new.event LIKE '%"full%' AND NOT ${isRepaired} BEGIN SELECT RAISE(ABORT, 'full'); END`
  )
  db.close()
  const outbox = openOutbox({ directory, now: 1 })
  t.teardown(() => outbox.close())
  return outbox
}

const sessionsIn = (outbox: Outbox): string[] =>
  outbox.read(100_000).flatMap(({ event }) => ('sessionId' in event ? [event.sessionId] : []))

void t.test('events that were rolled back do not count as waiting', t => {
  const outbox = brokenOutbox(t)
  const before = outbox.lastOffset
  t.throws(() => outbox.append([close('a'), close('b'), close('full')]), /full/)
  t.equal(outbox.depth, 0)
  t.equal(outbox.lastOffset, before)
  outbox.append([close('c')])
  t.same(
    outbox.read(10).map(({ offset }) => offset),
    [before + 1]
  )
  t.end()
})

void t.test('what cannot be written waits, in order, and is written once that is possible', t => {
  const outbox = brokenOutbox(t)
  const recorder = new Recorder(outbox, { notify: () => undefined }, log)
  recorder.record([close('full-1')])
  recorder.record([close('other')])
  recorder.record([close('full-2')])
  recorder.alive(3)
  t.same(sessionsIn(outbox), [])
  t.equal(recorder.unwrittenEvents, 3)
  t.match(recorder.failure, /full/)
  outbox.append([close('repaired')])
  recorder.record([close('later')])
  recorder.alive(4)
  t.same(sessionsIn(outbox), ['repaired', 'full-1', 'other', 'full-2', 'later'])
  t.match(recorder, { unwrittenEvents: 0, lostEvents: 0, failure: undefined })
  t.end()
})

void t.test('memory is bounded: what is too much is counted as lost', t => {
  const outbox = brokenOutbox(t)
  const recorder = new Recorder(outbox, { notify: () => undefined }, log)
  for (let i = 0; i < 10_500; i++) recorder.record([close(`full-${i}`)])
  t.equal(recorder.unwrittenEvents, 10_000)
  t.equal(recorder.lostEvents, 500)
  outbox.append([close('repaired')])
  recorder.alive(4)
  t.equal(outbox.depth, 10_001)
  t.equal(recorder.unwrittenEvents, 0)
  t.end()
})
