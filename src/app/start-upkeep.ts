// Owns the start of an instance's upkeep: periodic work on the store, and requests that the proxy itself sends upstream.
import type { FastifyBaseLogger } from 'fastify'
import { type StoreMaintenance, startStoreMaintenance } from '../ledger/pipeline/store-maintenance.js'
import type { Routes } from '../mcp/routes.js'
import { SerialUpstreamDetector } from '../proxy/upstream/serial-upstream.js'
import { startIdleEnder } from '../upkeep/idle-ender.js'
import { startSuspectChecker, type SuspectChecker } from '../upkeep/suspect-checker.js'
import { UpstreamRequests } from '../upkeep/upstream-requests.js'
import { startUpstreamWatch, type UpstreamWatch } from '../upkeep/upstream-watch.js'
import { type Closable, type OnClose, startInOrder } from '../util/startup.js'
import { epochNow } from '../util/time.js'
import type { InstanceLedger } from './start-ledger.js'
import type { Sessions } from './start-sessions.js'

/** The settings of the upkeep. */
export interface UpkeepSettings {
  upstream: URL
  rewriteHost: boolean
  connectTimeoutMs: number
  leaseMs: number
  retentionMs: number
  rollupRetentionMs: number
  confirmSuspects: boolean
  endIdleSessions: boolean
}

/** What the upkeep works on. */
export interface UpkeepParts {
  routes: Routes
  ledger: InstanceLedger
  sessions: Sessions
  logger: FastifyBaseLogger
}

/** The upkeep of one instance. */
export interface Upkeep extends Closable {
  readonly requests: UpstreamRequests
  readonly maintenance: StoreMaintenance
  /** Undefined with `--confirm-suspects=false`: then the upstream is not watched. */
  readonly watch: UpstreamWatch | undefined
  /** Must learn of the proxy's connections, as the watch may stand in their way. */
  readonly serialUpstream: SerialUpstreamDetector | undefined
}

const serialUpstreamAdvice =
  'The upstream serves one connection at a time: requests stood still behind the silent connection by which the proxy notices ' +
  'restarts. That connection is given up, so that a restart is noticed only where a request is refused or a session not found ' +
  '(--confirm-suspects=false says that from the start)'

/** Starts it; neither the store nor the upstream need be reachable. */
export const startUpkeep = (settings: UpkeepSettings, parts: UpkeepParts): Promise<Upkeep> =>
  startInOrder(onClose => {
    const requests = new UpstreamRequests({
      upstream: settings.upstream,
      rewriteHost: settings.rewriteHost,
      connectTimeoutMs: settings.connectTimeoutMs,
      routes: parts.routes,
      credentials: parts.sessions.credentials
    })
    onClose(() => requests.close())
    const maintenance = startMaintenance(settings, parts, requests, onClose)
    onClose(() => maintenance.close())
    const watching = settings.confirmSuspects ? startWatch(settings, parts, requests, onClose) : undefined
    return Promise.resolve({
      requests,
      maintenance,
      watch: watching?.watch,
      serialUpstream: watching?.serialUpstream
    })
  })

function startMaintenance(
  settings: UpkeepSettings,
  { ledger, sessions, logger }: UpkeepParts,
  requests: UpstreamRequests,
  onClose: OnClose
): StoreMaintenance {
  const ender = settings.endIdleSessions
    ? startIdleEnder({ end: session => requests.end(session), log: logger })
    : undefined
  onClose(() => ender?.close())
  return startStoreMaintenance({
    store: ledger.store,
    clock: ledger.clock,
    instance: ledger.outbox.instance,
    leaseMs: settings.leaseMs,
    retentionMs: settings.retentionMs,
    rollupRetentionMs: settings.rollupRetentionMs,
    isRegistered: () => ledger.shipper.isRegistered,
    onFailure: () => ledger.shipper.registerAgain(),
    onLost: () => ledger.recorder.record(sessions.tracker.held(epochNow())),
    // While the store was away, it did not get the uses that this proxy saw.
    onIdle: ended => ender?.add(ended.filter(session => !sessions.tracker.isInUse(session, epochNow()))),
    log: logger
  })
}

/** Watches the upstream, and pings sessions that may have ended unseen. */
function startWatch(
  settings: UpkeepSettings,
  { ledger, sessions, logger }: UpkeepParts,
  requests: UpstreamRequests,
  onClose: OnClose
): { watch: UpstreamWatch; serialUpstream: SerialUpstreamDetector } {
  const serialUpstream = new SerialUpstreamDetector({
    onStandStill: () => watch.pause(),
    onSlow: () => watch.resume(),
    onFound: () => {
      watch.giveUp()
      logger.warn(serialUpstreamAdvice)
    },
    onRefused: () => watch.refused()
  })
  const watch: UpstreamWatch = startUpstreamWatch({
    serialUpstream,
    upstream: settings.upstream,
    connectTimeoutMs: settings.connectTimeoutMs,
    onReturn: awaySince => void checker.upstreamMayHaveRestarted(ledger.clock.of(awaySince)),
    onLoss: lostAt => checker.upstreamMayHaveRestarted(ledger.clock.of(lostAt))
  })
  const checker: SuspectChecker = startSuspectChecker({
    suspects: sessions.tracker.suspects,
    ping: session => requests.ping(session),
    observe: sessions.observe,
    isAway: () => watch.away,
    store: ledger.store,
    instanceId: ledger.outbox.instance.id,
    shipped: () => sessions.shipped()
  })
  onClose(() => checker.close())
  onClose(() => watch.close())
  return { watch, serialUpstream }
}
