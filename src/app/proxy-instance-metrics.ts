// Owns the metrics of one proxy instance: traffic, operations, sessions it committed, ledger, process.
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { LAG_BOUNDS } from '../ledger/pipeline/shipper.js'
import type { Snapshot } from '../metrics/exposition.js'
import { counter, gauge, type PortableMetric, sample } from '../metrics/metric.js'
import type { Operations } from '../metrics/operations.js'
import { processMetrics } from '../metrics/process-metrics.js'
import { byReason, type Traffic } from '../metrics/traffic.js'
import type { Upstreams } from '../proxy/balancing/upstreams.js'
import type { Proxy } from '../proxy/proxy-server.js'
import type { SessionTracker } from '../sessions/tracker.js'
import type { IdlestEnder } from '../upkeep/idlest-ender.js'
import type { UpstreamWatch } from '../upkeep/upstream-watch.js'
import { epochNow, SECOND_MS } from '../util/time.js'
import { ledgerHealth } from './ledger-health.js'
import type { InstanceLedger } from './start-ledger.js'
import { evictionMetrics } from './start-principal-limit.js'
import type { Upkeep } from './start-upkeep.js'

/** How long a scrape waits for the thread that writes the store. Chosen: half of what a scrape waits for a worker. */
const STORE_TIMEOUT_MS = 1_000

/** The parts that are measured. */
export interface InstanceParts {
  upstreams: Upstreams
  proxy: Proxy
  operations: Operations
  traffic: Traffic
  tracker: SessionTracker
  ledger: InstanceLedger
  upkeep: Upkeep
  /** Undefined where no session is ended to make room. */
  evictions: IdlestEnder | undefined
}

/** Returns a function that reads all metrics of this process. */
export function instanceMetrics(parts: InstanceParts): () => Promise<[Snapshot]> {
  const { proxy, operations, ledger } = parts
  const process = randomUUID()
  const ofProcess = processMetrics()
  let committed: PortableMetric[] = []
  const readCommitted = async (): Promise<void> => {
    const reading = ledger.store.metrics().then(metrics => void (committed = metrics))
    await Promise.race([reading.catch(() => undefined), sleep(STORE_TIMEOUT_MS, undefined, { ref: false })])
  }
  return async () => {
    const [processes] = await Promise.all([ofProcess(), readCommitted()])
    const metrics = [
      ...committed,
      ...operations.metrics(),
      ...proxy.metrics(),
      ...ledgerMetrics(parts),
      evictionMetrics(parts.evictions),
      ...processes
    ]
    return [{ process, metrics }]
  }
}

function ledgerMetrics({ upstreams, traffic, tracker, ledger, upkeep }: InstanceParts): PortableMetric[] {
  const { outbox, recorder, shipper } = ledger
  const { watches, maintenance } = upkeep
  const { oldestAt } = outbox
  const age = oldestAt === undefined ? 0 : (epochNow() - oldestAt) / 1_000
  const health = ledgerHealth({ ...ledger, maintenance })
  const isUp =
    upstreams.only === undefined
      ? Array.from(upstreams.all, ({ name, isUp }) => sample(Number(isUp), { upstream: name }))
      : watchedState(watches.get(upstreams.only))
  return [
    gauge('turnstile_upstream_up', '1: the gateway takes connections; 0: it does not.', isUp, 'min'),
    counter(
      'turnstile_unstorable_ids_total',
      'Requests that were not accounted because their endpoint or session id has characters that no such id may have.',
      tracker.unstorableIds
    ),
    counter(
      'turnstile_unplaced_messages_total',
      'Accepted messages of legacy sessions whose stream no proxy of this store has seen: they were not counted.',
      tracker.unplaced.dropped
    ),
    counter(
      'turnstile_uncounted_requests_total',
      'Requests that look like MCP and were not accounted, by reason: no pattern covers the path, an id cannot be stored, or the path is no UTF-8.',
      byReason({ ...traffic.uncounted, id: tracker.unstorableIds })
    ),
    counter(
      'turnstile_others_requests_total',
      'Requests of session-less clients that were counted as those of one client, `other`, as their address has too many new ones.',
      tracker.othersRequests
    ),
    counter(
      'turnstile_principal_mismatches_total',
      'Sessions that were found to be used on behalf of two principals; each keeps the first one.',
      shipper.principalMismatches
    ),
    counter(
      'turnstile_others_sessions_total',
      'Sessions and session-less clients of new endpoints that were counted at the endpoint `other`, as there are too many endpoints.',
      shipper.othersSessions
    ),
    gauge('turnstile_outbox_events', 'Events on disk that the store does not have yet.', outbox.depth),
    gauge('turnstile_outbox_oldest_seconds', 'Age of the oldest of them; 0: there is none.', age, 'max'),
    gauge(
      'turnstile_outbox_size_bytes',
      'Size of the outbox, without its write-ahead log.',
      outbox.sizeBytes
    ),
    gauge('turnstile_outbox_up', '1: the outbox can be written.', Number(health.outbox.ok), 'min'),
    counter(
      'turnstile_events_lost_total',
      'Events that could not be written to the outbox, and found no room in memory until they could.',
      recorder.lostEvents
    ),
    counter('turnstile_events_shipped_total', 'Events that the store has.', shipper.shippedEvents),
    {
      name: 'turnstile_ship_lag_seconds',
      help: 'Time from an open or close until it was in the store; of each batch the oldest.',
      bounds: LAG_BOUNDS,
      series: [shipper.lag.series({})]
    },
    gauge('turnstile_store_up', '1: the store can be written.', Number(health.store.ok), 'min'),
    gauge(
      'turnstile_clock_ahead_seconds',
      "How far this machine's clock is ahead of the store's; below 0: behind.",
      ledger.clock.aheadMs === undefined ? undefined : ledger.clock.aheadMs / SECOND_MS,
      'max'
    ),
    counter('turnstile_store_errors_total', 'Failed attempts to write the store, by who made them.', [
      sample(shipper.errors, { by: 'shipper' }),
      sample(maintenance.errors, { by: 'keeper' })
    ])
  ]
}

const watchedState = (watch: UpstreamWatch | undefined): number | undefined =>
  watch === undefined || watch.gaveUp ? undefined : Number(!watch.away)
