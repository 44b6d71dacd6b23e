// Owns the start of an instance's ledger: the store, the outbox on this machine's disk, and what ships from one to the other.
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { StoreLocation } from '../config/setting-kinds.js'
import { LedgerClock } from '../ledger/pipeline/ledger-clock.js'
import { type LiveCounts, startLiveCounts, type StoredCounts } from '../ledger/pipeline/live-counts.js'
import { type OutboxFile, watchOutboxFile } from '../ledger/pipeline/outbox-file.js'
import { openOutbox, type Outbox } from '../ledger/pipeline/outbox.js'
import { Recorder } from '../ledger/pipeline/recorder.js'
import { type Shipper, startShipper } from '../ledger/pipeline/shipper.js'
import { type Store, UnusableStoreError } from '../ledger/store-port.js'
import { type Closable, startInOrder } from '../util/startup.js'
import { epochNow } from '../util/time.js'
import { openStore } from './open-store.js'

/** How long to wait for the store to have what was observed, before the upstream is asked about a session. Chosen. */
const SHIP_TIMEOUT_MS = 5_000

/**
 * How long a start waits for a database server to be looked at. Chosen: most are by then; the shipper goes on with the others,
 * and `/readyz` says 503 until it is done.
 */
const PREPARE_TIMEOUT_MS = 10_000

/** The settings of the ledger. */
export interface LedgerSettings {
  store: StoreLocation
  /** How many stores the whole proxy opens: those of its instances, and that of the admin port. */
  stores: number
  dataDir: string
  sessionIdleTimeoutMs: number
  /** 0: no limit. */
  maxEndpoints: number
  /** 0: no limit, so that no live counts are kept. */
  maxSessionsPerEndpoint: number
}

/** The ledger of one instance. `close` ends its parts in order. */
export interface InstanceLedger extends Closable {
  readonly store: Store
  readonly clock: LedgerClock
  readonly outbox: Outbox
  readonly shipper: Shipper
  readonly recorder: Recorder
  readonly outboxFile: OutboxFile
  /** Undefined where there is no limit on sessions. */
  readonly liveCounts: LiveCounts | undefined
  /** Open sessions by gateway; read from the store while `isBalanced` says so. */
  readonly upstreamCounts: LiveCounts
  /** Resolves once the store has what was recorded, or cannot have it soon. */
  shipped(timeoutMs?: number): Promise<void>
}

/** Starts it. Throws when the data directory or the store cannot be used. */
export const startLedger = (
  settings: LedgerSettings,
  isBalanced: () => boolean,
  logger: FastifyBaseLogger
): Promise<InstanceLedger> =>
  startInOrder(async onClose => {
    const options = { pools: settings.stores, log: logger }
    const { sessionIdleTimeoutMs: idleTimeoutMs, maxEndpoints } = settings
    const store = openStore(settings.store, { idleTimeoutMs, maxEndpoints }, options)
    onClose(() => store.close())
    await prepare(store, settings.store)
    const outbox = openOutbox({ directory: settings.dataDir, now: epochNow() })
    onClose(() => outbox.close())
    const outboxFile = watchOutboxFile(outbox.path, logger)
    onClose(() => outboxFile.close())
    const clock = new LedgerClock(logger)
    const shipper = startShipper({ outbox, store, clock, log: logger })
    onClose(() => shipper.close())
    const liveCounts =
      settings.maxSessionsPerEndpoint > 0 ? startLiveCounts({ outbox, read: byEndpoint(store) }) : undefined
    onClose(() => liveCounts?.close())
    const upstreamCounts = startLiveCounts({ outbox, read: byUpstream(store), isWanted: isBalanced })
    onClose(() => upstreamCounts.close())
    const recorder = new Recorder(outbox, shipper, logger)
    const shipped = (timeoutMs = SHIP_TIMEOUT_MS): Promise<void> => shipper.whenEmpty(timeoutMs)
    return { store, clock, outbox, shipper, recorder, outboxFile, liveCounts, upstreamCounts, shipped }
  })

/**
 * Makes the tables, or brings them up to date, for as long as a start may take; the shipper then waits for the rest of it. A
 * server may be away for a while, but not for what only people can change: that is thrown.
 */
async function prepare(store: Store, { kind }: StoreLocation): Promise<void> {
  const migrated = store.migrate()
  // A file that cannot be used now cannot be used at all.
  if (kind === 'sqlite') return await migrated
  const isUsable = migrated.catch((error: unknown) => {
    if (error instanceof UnusableStoreError) throw error
  })
  await Promise.race([isUsable, sleep(PREPARE_TIMEOUT_MS, undefined, { ref: false })])
}

const byEndpoint =
  (store: Store) =>
  async (instanceId: string): Promise<StoredCounts> => {
    const { appliedOffset, counts } = await store.liveCounts({ instanceId })
    return { appliedOffset, counts: counts.map(({ endpointId, connectNum }) => [endpointId, connectNum]) }
  }

const byUpstream =
  (store: Store) =>
  async (instanceId: string): Promise<StoredCounts> => {
    const { appliedOffset, counts } = await store.upstreamCounts({ instanceId })
    return { appliedOffset, counts: counts.map(({ upstream, connectNum }) => [upstream, connectNum]) }
  }
