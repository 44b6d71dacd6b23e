// Owns the start of an instance's ledger: the store, the outbox on this machine's disk, and what ships from one to the other.
import type { FastifyBaseLogger } from 'fastify'
import type { StoreLocation } from '../config/setting-kinds.js'
import { type LiveCounts, startLiveCounts, type StoredCounts } from '../ledger/pipeline/live-counts.js'
import { openOutbox, type Outbox } from '../ledger/pipeline/outbox.js'
import { Recorder } from '../ledger/pipeline/recorder.js'
import { type Shipper, startShipper } from '../ledger/pipeline/shipper.js'
import type { Store } from '../ledger/store-port.js'
import { type Closable, startInOrder } from '../util/startup.js'
import { epochNow } from '../util/time.js'
import { openStore } from './open-store.js'

/** How long the end of the process waits for the store to have what was observed. Chosen; the documentation on Kubernetes names it. */
const SHIP_TIMEOUT_MS = 5_000

/** The settings of the ledger. */
export interface LedgerSettings {
  store: StoreLocation
  dataDir: string
  sessionIdleTimeoutMs: number
  /** 0: no limit, so that no live counts are kept. */
  maxSessionsPerEndpoint: number
}

/** The ledger of one instance. `close` ends its parts in order. */
export interface InstanceLedger extends Closable {
  readonly store: Store
  readonly outbox: Outbox
  readonly shipper: Shipper
  readonly recorder: Recorder
  /** Undefined where there is no limit on sessions. */
  readonly liveCounts: LiveCounts | undefined
  /** Open sessions by gateway; read from the store while `isBalanced` says so. */
  readonly upstreamCounts: LiveCounts
  /** Resolves once the store has what was recorded, or cannot have it soon. */
  shipped(): Promise<void>
}

/** Starts it. Throws when the data directory or the embedded store cannot be used. */
export const startLedger = (
  settings: LedgerSettings,
  isBalanced: () => boolean,
  logger: FastifyBaseLogger
): Promise<InstanceLedger> =>
  startInOrder(async onClose => {
    const store = openStore(settings.store, settings.sessionIdleTimeoutMs)
    onClose(() => store.close())
    // A server may be away for a while; a file that cannot be used now cannot be used at all.
    if (settings.store.kind === 'sqlite') await store.migrate()
    const outbox = openOutbox({ directory: settings.dataDir, now: epochNow() })
    onClose(() => outbox.close())
    const shipper = startShipper({ outbox, store, log: logger })
    onClose(() => shipper.close())
    const liveCounts =
      settings.maxSessionsPerEndpoint > 0 ? startLiveCounts({ outbox, read: byEndpoint(store) }) : undefined
    onClose(() => liveCounts?.close())
    const upstreamCounts = startLiveCounts({ outbox, read: byUpstream(store), isWanted: isBalanced })
    onClose(() => upstreamCounts.close())
    const recorder = new Recorder(outbox, shipper, logger)
    const shipped = (): Promise<void> => shipper.whenEmpty(SHIP_TIMEOUT_MS)
    return { store, outbox, shipper, recorder, liveCounts, upstreamCounts, shipped }
  })

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
