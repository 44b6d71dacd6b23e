// Owns the start of an instance's upkeep: what it does although no client asks, in the store and at the upstream.
import type { FastifyBaseLogger } from 'fastify'
import { StoreMaintenance } from '../ledger/pipeline/store-maintenance.js'
import type { Routes } from '../mcp/routes.js'
import { IdleEnder } from '../upkeep/idle-ender.js'
import { Suspicion } from '../upkeep/suspicion.js'
import { UpstreamRequests } from '../upkeep/upstream-requests.js'
import { UpstreamWatch } from '../upkeep/upstream-watch.js'
import { type Closable, type OnClose, startInOrder } from '../util/startup.js'
import type { Ledger } from './start-ledger.js'
import type { Sessions } from './start-sessions.js'

export interface UpkeepSettings {
  upstream: URL
  rewriteHost: boolean
  connectTimeoutMs: number
  sessionIdleTimeoutMs: number
  leaseMs: number
  retentionMs: number
  rollupRetentionMs: number
  confirmSuspects: boolean
  endIdleSessions: boolean
}

/** What the upkeep works on. */
export interface UpkeepParts {
  routes: Routes
  ledger: Ledger
  sessions: Sessions
  logger: FastifyBaseLogger
}

export interface Upkeep extends Closable {
  readonly requests: UpstreamRequests
  readonly maintenance: StoreMaintenance
  /** Undefined where nobody watches the upstream. */
  readonly watch: UpstreamWatch | undefined
}

export const startUpkeep = (settings: UpkeepSettings, parts: UpkeepParts): Promise<Upkeep> =>
  startInOrder(onClose => {
    const requests = new UpstreamRequests({
      upstream: settings.upstream,
      rewriteHost: settings.rewriteHost,
      connectTimeoutMs: settings.connectTimeoutMs,
      routes: parts.routes,
      callers: parts.sessions.callers
    })
    onClose(() => requests.close())
    const maintenance = startMaintenance(settings, parts, requests)
    onClose(() => maintenance.stop())
    const watch = settings.confirmSuspects ? startWatch(settings, parts, requests, onClose) : undefined
    return Promise.resolve({ requests, maintenance, watch })
  })

function startMaintenance(
  settings: UpkeepSettings,
  { ledger, sessions, logger }: UpkeepParts,
  requests: UpstreamRequests
): StoreMaintenance {
  const ender = settings.endIdleSessions ? new IdleEnder(session => requests.end(session), logger) : undefined
  const maintenance = new StoreMaintenance(
    ledger.store,
    ledger.outbox.instance,
    {
      leaseMs: settings.leaseMs,
      idleTimeoutMs: settings.sessionIdleTimeoutMs,
      retentionMs: settings.retentionMs,
      rollupRetentionMs: settings.rollupRetentionMs,
      onLost: () => ledger.recorder.record(sessions.tracker.held(Date.now())),
      onIdle: ended => ender?.add(ended)
    },
    logger
  )
  maintenance.start()
  return maintenance
}

/** Watches the upstream, and asks after sessions that may have ended unseen. */
function startWatch(
  settings: UpkeepSettings,
  { ledger, sessions }: UpkeepParts,
  requests: UpstreamRequests,
  onClose: OnClose
): UpstreamWatch {
  const watch: UpstreamWatch = new UpstreamWatch({
    upstream: settings.upstream,
    connectTimeoutMs: settings.connectTimeoutMs,
    onReturn: () => void suspicion.upstreamReturned(Date.now()),
    onLoss: lostAt => suspicion.upstreamLost(lostAt)
  })
  const suspicion: Suspicion = new Suspicion({
    suspects: sessions.tracker.suspects,
    suspect: session => sessions.tracker.suspect(session),
    ping: session => requests.ping(session),
    observe: sessions.observe,
    isAway: () => watch.away,
    store: ledger.store,
    instanceId: ledger.outbox.instance.id,
    shipped: () => sessions.shipped()
  })
  onClose(() => {
    watch.stop()
    suspicion.stop()
  })
  return watch
}
