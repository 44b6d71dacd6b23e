// Owns the start of an instance's upkeep: periodic work on the store, and requests that the proxy itself sends upstream.
import type { FastifyBaseLogger } from 'fastify'
import { shownId } from '../ledger/pipeline/event-log.js'
import { type StoreMaintenance, startStoreMaintenance } from '../ledger/pipeline/store-maintenance.js'
import type { SessionRow, StoreReader } from '../ledger/store-port.js'
import type { Routes } from '../mcp/routes.js'
import { Transport } from '../mcp/transports.js'
import type { NamedSession } from '../proxy/balancing/balancer.js'
import { SessionLocator, type StoredSession } from '../proxy/balancing/session-locator.js'
import { startUpstreamProber } from '../proxy/balancing/upstream-prober.js'
import type { Upstream } from '../proxy/balancing/upstream.js'
import type { Upstreams } from '../proxy/balancing/upstreams.js'
import { SerialUpstreamDetector } from '../proxy/upstream/serial-upstream.js'
import { startIdleEnder } from '../upkeep/idle-ender.js'
import { SessionRequests } from '../upkeep/session-requests.js'
import { startSuspectChecker } from '../upkeep/suspect-checker.js'
import { startUpstreamWatch, type UpstreamWatch } from '../upkeep/upstream-watch.js'
import { type Closable, type OnClose, startInOrder } from '../util/startup.js'
import { type EpochMs, epochNow } from '../util/time.js'
import type { InstanceLedger } from './start-ledger.js'
import type { Sessions } from './start-sessions.js'

/** The settings of the upkeep. */
export interface UpkeepSettings {
  rewriteHost: boolean
  connectTimeoutMs: number
  leaseMs: number
  retentionMs: number
  rollupRetentionMs: number
  eventRetentionMs: number
  confirmSuspects: boolean
  endIdleSessions: boolean
}

/** What the upkeep works on. */
export interface UpkeepParts {
  routes: Routes
  upstreams: Upstreams
  ledger: InstanceLedger
  sessions: Sessions
  logger: FastifyBaseLogger
}

/** The upkeep of one instance. */
export interface Upkeep extends Closable {
  readonly requests: SessionRequests
  readonly maintenance: StoreMaintenance
  /** The watches of the gateways; none with `--confirm-suspects=false`. */
  readonly watches: ReadonlyMap<Upstream, UpstreamWatch>
  readonly locator: SessionLocator
  /** The gateway of a session, if this process knows it. */
  readonly upstreamOf: (session: NamedSession) => string | undefined
}

const serialUpstreamAdvice =
  'The gateway serves one connection at a time: requests waited for the silent connection by which the proxy notices restarts. ' +
  'The proxy now works without that connection, and notices a restart only by a refused connection or by a session that is not ' +
  'found. --confirm-suspects=false does the same from the start'

/** Starts it; neither the store nor the upstream need be reachable. */
export const startUpkeep = (settings: UpkeepSettings, parts: UpkeepParts): Promise<Upkeep> =>
  startInOrder(onClose => {
    const { upstreams, routes, ledger, sessions } = parts
    const { rewriteHost, connectTimeoutMs } = settings
    const upstreamOf = ({ transport, endpointId, sessionId }: NamedSession): string | undefined =>
      sessions.tracker.upstreamOf(transport, endpointId, sessionId)
    const locator: SessionLocator = new SessionLocator({
      upstreams,
      lookUp: session => upstreamInStore(ledger.store, session),
      ask: (...question) => requests.ask(...question),
      askTask: (...question) => requests.askTask(...question)
    })
    const requests = new SessionRequests({
      ...{ upstreams, routes, credentials: sessions.credentials, rewriteHost, connectTimeoutMs, upstreamOf },
      locate: session => locator.locate(session)
    })
    onClose(() => requests.close())
    const probers = upstreams.attach(upstream => startUpstreamProber(upstream, connectTimeoutMs))
    onClose(() => probers.close())
    const maintenance = startMaintenance(settings, parts, requests, onClose)
    onClose(() => maintenance.close())
    const watches = settings.confirmSuspects
      ? startWatches(settings, parts, requests, onClose)
      : new Map<Upstream, UpstreamWatch>()
    return Promise.resolve({ requests, maintenance, watches, locator, upstreamOf })
  })

/** What waits in the outbox may have the name that was erased; the store does not take it. */
async function scrubOnceShipped({ shipper, outbox }: InstanceLedger): Promise<void> {
  await shipper.whenEmpty(Infinity)
  outbox.scrub()
}

function startMaintenance(
  settings: UpkeepSettings,
  { ledger, sessions, logger }: UpkeepParts,
  requests: SessionRequests,
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
    eventRetentionMs: settings.eventRetentionMs,
    isRegistered: () => ledger.shipper.isRegistered,
    onFailure: () => ledger.shipper.registerAgain(),
    onErased: () => void scrubOnceShipped(ledger),
    onLost: () => ledger.recorder.record(sessions.tracker.held(epochNow())),
    // While the store was away, it did not get the uses that this proxy saw.
    onIdle: ended => {
      for (const { endpointId, sessionId } of ended)
        logger.debug({ endpointId, session: shownId(sessionId), reason: 'idle' }, 'session event: close')
      ender?.add(ended.filter(session => !sessions.tracker.isInUse(session, epochNow())))
    },
    log: logger
  })
}

/** Watches each gateway, and pings sessions that may have ended unseen. */
function startWatches(
  { connectTimeoutMs }: UpkeepSettings,
  { upstreams, ledger, sessions, logger }: UpkeepParts,
  requests: SessionRequests,
  onClose: OnClose
): Map<Upstream, UpstreamWatch> {
  const watches = new Map<Upstream, UpstreamWatch>()
  const { suspects } = sessions.tracker
  const checker = startSuspectChecker({
    suspects,
    ping: session => requests.ping(session),
    observe: sessions.observe,
    isAway({ endpointId, sessionId, upstream: named }) {
      const name = named ?? sessions.tracker.upstreamOf(Transport.streamable, endpointId, sessionId)
      const upstream = upstreams.only ?? (name === undefined ? undefined : upstreams.get(name))
      return upstream !== undefined && watches.get(upstream)?.away === true
    },
    store: ledger.store,
    instanceId: ledger.outbox.instance.id,
    shipped: () => sessions.shipped()
  })
  onClose(() => checker.close())
  const attached = upstreams.attach(upstream => {
    const watch = startWatch(upstream, connectTimeoutMs, logger, at =>
      checker.upstreamMayHaveRestarted(
        ledger.clock.of(at),
        upstreams.only === upstream ? undefined : upstream.name
      )
    )
    watches.set(upstream, watch)
    return {
      close: () => {
        watches.delete(upstream)
        return watch.close()
      }
    }
  })
  onClose(() => attached.close())
  return watches
}

/** Watches one gateway; `mayHaveRestarted` resolves with whether its sessions were seen to live on. */
function startWatch(
  upstream: Upstream,
  connectTimeoutMs: number,
  logger: FastifyBaseLogger,
  mayHaveRestarted: (at: EpochMs) => Promise<boolean>
): UpstreamWatch {
  const serialUpstream = new SerialUpstreamDetector({
    onStandStill: () => watch.pause(),
    onSlow: () => watch.resume(),
    onFound: () => {
      watch.giveUp()
      logger.warn({ upstream: upstream.name }, serialUpstreamAdvice)
    },
    onRefused: () => watch.refused()
  })
  upstream.serialUpstream = serialUpstream
  const watch: UpstreamWatch = startUpstreamWatch({
    serialUpstream,
    upstream: upstream.url,
    connectTimeoutMs,
    onAway: () => upstream.failed(),
    onReturn: awaySince => {
      upstream.recovered()
      void mayHaveRestarted(awaySince)
    },
    onLoss: lostAt => mayHaveRestarted(lostAt)
  })
  return watch
}

/** The gateway that the store has for a session. */
async function upstreamInStore(
  store: Pick<StoreReader, 'session'>,
  { endpointId, sessionId, transport }: StoredSession
): Promise<string | undefined> {
  const rows = (await store.session(sessionId)).filter(row => row.transport === transport)
  const named = rows.find(row => row.endpointId === endpointId)
  // The endpoint that a legacy message names need not be true.
  const row = transport === Transport.sse ? (named ?? rows.find(isOpen) ?? rows[0]) : named
  return row?.upstream ?? undefined
}

const isOpen = ({ reason }: SessionRow): boolean => reason === null
