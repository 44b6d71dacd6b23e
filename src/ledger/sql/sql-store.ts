// Owns the store over a SQL database: ties the port's methods to their statements.
import { SessionTally } from '../../metrics/session-tally.js'
import type { LedgerRules, Store } from '../store-port.js'
import { busiest, census, liveCounts, upstreamCounts } from './read/census.js'
import { connections, counts, legacySessions, session, snapshot, totals } from './read/connections.js'
import { events, eventsEnd } from './read/event-pages.js'
import { series } from './read/minute-series.js'
import { principalSessions } from './read/principal-sessions.js'
import { openCounts, principals } from './read/principals-list.js'
import { toolUsage } from './read/tool-usage.js'
import { upstreamOrders, upstreams } from './read/upstream-states.js'
import type { Database } from './sql-database.js'
import { apply } from './write/apply.js'
import { settleEarlyCloses } from './write/early-closes.js'
import { deleteEndpoint, deleteOldEndpoints } from './write/endpoint-deletion.js'
import { erasePrincipal } from './write/erasures.js'
import { deleteFeed, feed } from './write/feed.js'
import { heartbeat, instances, register, times } from './write/instances.js'
import { closeIdle, loseStreams } from './write/presumed-ends.js'
import { deleteEnded, deleteRollups } from './write/retention.js'
import type { Ledger } from './write/session-change.js'
import { drainUpstream, reportUpstreams } from './write/upstream-rows.js'
import { takeWebhookTurn } from './write/webhook-turns.js'

/** The store in a database. It counts what it commits; `close` closes the database. */
export function sqlStore(database: Database, rules: LedgerRules): Store {
  const tally = new SessionTally()
  const ledger: Ledger = { database, rules, onCommitted: entries => tally.add(entries) }
  return {
    migrate: () => database.migrate(),
    times: () => times(database),
    register: (instance, now) => register(database, instance, now),
    apply: (instance, entries, now) => apply(ledger, instance, entries, now),
    heartbeat: (instance, now) => heartbeat(database, instance, now),
    probe: () => database.probe(),
    loseStreams: (id, heartbeatAt, now) => loseStreams(ledger, id, heartbeatAt, now),
    closeIdle: now => closeIdle(ledger, now),
    settleEarlyCloses: (notedBefore, now) => settleEarlyCloses(ledger, notedBefore, now),
    deleteEnded: before => deleteEnded(database, before),
    erasePrincipal: (principal, now, options) => erasePrincipal(ledger, principal, now, options),
    deleteFeed: before => deleteFeed(database, before),
    deleteRollups: before => deleteRollups(database, before),
    deleteEndpoint: (endpointId, now) => deleteEndpoint(ledger, endpointId, now),
    deleteOldEndpoints: (before, now) => deleteOldEndpoints(ledger, before, now),
    connections: query => connections(database, query),
    session: sessionId => session(database, sessionId),
    legacySessions: sessionIds => legacySessions(database, sessionIds),
    counts: query => counts(database, query),
    openCounts: query => openCounts(database, query),
    principals: query => principals(database, query),
    liveCounts: query => liveCounts(database, query),
    reportUpstreams: (instance, reports, now) => reportUpstreams(database, instance, reports, now),
    drainUpstream: (name, on, now) => drainUpstream(database, name, on, now),
    upstreams: () => upstreams(database),
    upstreamOrders: query => upstreamOrders(database, query),
    upstreamCounts: query => upstreamCounts(database, query),
    principalSessions: query => principalSessions(database, query),
    totals: query => totals(database, query),
    snapshot: query => snapshot(database, query),
    busiest: query => busiest(database, query),
    census: query => census(database, query),
    instances: since => instances(database, since),
    feed: query => feed(database, query),
    toolUsage: query => toolUsage(database, query),
    events: query => events(database, query),
    eventsEnd: () => eventsEnd(database),
    series: query => series(database, query),
    takeWebhookTurn: request => takeWebhookTurn(database, request),
    metrics: () => Promise.resolve(tally.metrics()),
    close: () => database.close()
  }
}
