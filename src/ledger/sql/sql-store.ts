// Owns the store over a SQL database: ties the port's methods to their statements.
import { SessionTally, type Turn } from '../../metrics/session-tally.js'
import type { Store } from '../store-port.js'
import { busiest, census, liveCounts } from './read/census.js'
import { connections, counts, session, snapshot, totals } from './read/connections.js'
import { series } from './read/minute-series.js'
import type { Database } from './sql-database.js'
import { apply } from './write/apply.js'
import { settleEarlyCloses } from './write/early-closes.js'
import { deleteFeed, feed } from './write/feed.js'
import { heartbeat, instances, register } from './write/instances.js'
import { closeIdle, loseStreams } from './write/presumed-ends.js'
import { deleteEnded, deleteRollups } from './write/retention.js'

/** `idleTimeoutMs`: a session not used for so long before its end was idle first; 0: never. */
export function sqlStore(database: Database, idleTimeoutMs = 0): Store {
  const tally = new SessionTally()
  const db = tallied(database, tally)
  return {
    migrate: () => db.migrate(),
    register: (instance, now) => register(db, instance, now),
    apply: (instance, entries, now) => apply(db, instance, entries, now, idleTimeoutMs),
    heartbeat: (instance, now) => heartbeat(db, instance, now),
    loseStreams: (id, heartbeatAt, now) => loseStreams(db, id, heartbeatAt, now),
    closeIdle: (timeoutMs, now) => closeIdle(db, timeoutMs, now),
    settleEarlyCloses: (notedBefore, now) => settleEarlyCloses(db, notedBefore, now, idleTimeoutMs),
    deleteEnded: before => deleteEnded(db, before),
    deleteFeed: before => deleteFeed(db, before),
    deleteRollups: before => deleteRollups(db, before),
    connections: query => connections(db, query),
    session: sessionId => session(db, sessionId),
    counts: query => counts(db, query),
    liveCounts: query => liveCounts(db, query),
    totals: query => totals(db, query),
    snapshot: query => snapshot(db, query),
    busiest: query => busiest(db, query),
    census: query => census(db, query),
    instances: since => instances(db, since),
    feed: query => feed(db, query),
    series: query => series(db, query),
    metrics: () => Promise.resolve(tally.metrics()),
    close: () => db.close()
  }
}

/** The database, with what is committed there counted. */
function tallied(db: Database, tally: SessionTally): Database {
  return {
    dialect: db.dialect,
    read: work => db.read(work),
    async write(work) {
      let turns: readonly Turn[] = []
      const result = await db.write(sql => {
        turns = []
        return work({ ...sql, turned: committing => (turns = committing) })
      })
      tally.add(turns)
      return result
    },
    migrate: () => db.migrate(),
    close: () => db.close()
  }
}
