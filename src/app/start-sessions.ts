// Owns the start of an instance's session tracking: observations become events of the ledger, uses once a second.
import type { Principal } from '../mcp/principal.js'
import type { SessionIds } from '../mcp/stored-ids.js'
import type { Proxy } from '../proxy/proxy-server.js'
import { ClientCredentials } from '../sessions/client-credentials.js'
import type { SessionEvent } from '../sessions/events.js'
import type { Observe } from '../sessions/observations.js'
import { SessionTracker } from '../sessions/tracker.js'
import { type UnplacedChange, UnplacedMessages } from '../sessions/unplaced-messages.js'
import type { Log } from '../util/log.js'
import type { Closable } from '../util/startup.js'
import { type EpochMs, epochNow, MAX_DURATION_MS, MINUTE_MS, monotonicNow } from '../util/time.js'
import { startMessagePlacement } from './message-placement.js'
import type { InstanceLedger } from './start-ledger.js'

/** How often the ledger is told of uses, and the outbox that the process lives; more often where sessions idle in seconds. */
const MAX_TICK_MS = 1_000
const MIN_TICK_MS = 100
/** How often each exchange under way is reported as present: several times within the idle timeout. All chosen. */
const MAX_PRESENCE_MS = 30_000
const PRESENCES_PER_IDLE_TIMEOUT = 4

/**
 * How long the end of the process waits for the store to have what was observed; the rest stays in the outbox. Chosen: with the
 * default of `--drain-timeout` less than the 10 s of `docker stop`. The documentation on Kubernetes names it.
 */
const CLOSE_TIMEOUT_MS = 1_500

/** The settings of session tracking. */
export interface SessionSettings {
  /** 0: sessions never idle. */
  sessionIdleTimeoutMs: number
  /** Whether sessions that may be gone are pinged. */
  confirmSuspects: boolean
  /** 0: no limit. */
  maxNewSessionsPerAddress: number
}

/** The session tracking of one instance. */
export interface Sessions extends Closable {
  readonly tracker: SessionTracker
  /** How clients reach their sessions, for requests of our own. */
  readonly credentials: ClientCredentials
  readonly observe: Observe
  /** `notePresence` is called at each tick, to observe what exchanges under way keep present. */
  onPresence(notePresence: Proxy['notePresence']): void
  /** `owned` is told of each principal that has one more session. */
  onOwned(owned: (principal: Principal) => void): void
  /** The proxy itself ended a session at `at`. */
  end(session: SessionIds, at: EpochMs): void
  /** Resolves once the store has what was observed, or cannot have it soon. */
  shipped(): Promise<void>
}

/** Starts it. `close` records all uses that are pending, and waits for the store to have them, for 5 s at most. */
export function startSessions(
  { sessionIdleTimeoutMs, confirmSuspects, maxNewSessionsPerAddress }: SessionSettings,
  ledger: InstanceLedger,
  log: Log
): Sessions {
  const { recorder, liveCounts, upstreamCounts, store, shipper } = ledger
  const unplaced = new UnplacedMessages(ledger.outbox.unplaced())
  let noteOwned: (principal: Principal) => void = () => undefined
  const tracker = new SessionTracker({
    idleTimeoutMs: sessionIdleTimeoutMs,
    confirmSuspects,
    maxNewSessionsPerAddress,
    unplaced,
    onChange(endpointId, by, upstream) {
      liveCounts?.change(endpointId, by)
      if (upstream !== undefined) upstreamCounts.change(upstream, by)
    },
    onOwned: principal => noteOwned(principal)
  })
  let notePresence: Proxy['notePresence'] = () => undefined
  const record = (events: readonly SessionEvent[], changes: readonly UnplacedChange[] = []): void => {
    if (!recorder.record(events, changes)) unplaced.changedStill(changes)
    liveCounts?.recorded()
    upstreamCounts.recorded()
  }
  const placement = startMessagePlacement({
    tracker,
    store,
    record: events => record(events, unplaced.takeChanges())
  })
  const presenceMs = Math.min(
    (sessionIdleTimeoutMs || Infinity) / PRESENCES_PER_IDLE_TIMEOUT,
    MAX_PRESENCE_MS
  )
  const tickMs = Math.max(Math.min(presenceMs, MAX_TICK_MS), MIN_TICK_MS)
  let saidOthers = false
  const sayOthers = (): void => {
    if (saidOthers || tracker.othersRequests === 0) return
    saidOthers = true
    log.warn(
      { maxNewSessionsPerAddress },
      'an address has too many new clients: more of them are counted as one client, `other`; see --max-new-sessions-per-address'
    )
  }
  const tick = (atLeast?: number): void => {
    // Many that are due at once take turns within half of the interval.
    recorder.batch(() => notePresence(epochNow(), presenceMs, (2 * tickMs) / presenceMs))
    record(tracker.flush(epochNow(), atLeast), unplaced.takeChanges())
    recorder.record(tracker.flushTools(epochNow(), atLeast))
    recorder.alive(epochNow())
    sayOthers()
  }
  const ticking = setInterval(() => tick(), tickMs)
  const credentials = new ClientCredentials()
  const aging =
    sessionIdleTimeoutMs > 0
      ? setInterval(() => credentials.age(), credentialsAgeMs(sessionIdleTimeoutMs))
      : undefined
  return {
    tracker,
    credentials,
    observe: observation => record(tracker.observe(observation)),
    onPresence(note) {
      notePresence = note
    },
    onOwned(owned) {
      noteOwned = owned
    },
    end({ endpointId, sessionId }, at) {
      const ended = tracker.ended({ endpointId, sessionId })
      record([...ended, { type: 'close', endpointId, sessionId, at, reason: 'killed' }])
    },
    async shipped() {
      tick()
      await ledger.shipped()
    },
    async close() {
      clearInterval(aging)
      clearInterval(ticking)
      const deadline = monotonicNow() + CLOSE_TIMEOUT_MS
      // A message may be of a session that only the outbox knows.
      if (unplaced.size > 0 && shipper.failure === undefined) await ledger.shipped(CLOSE_TIMEOUT_MS)
      await placement.close()
      tick(Infinity)
      await ledger.shipped(deadline - monotonicNow())
    }
  }
}

/** Credentials are kept longer than it takes until an idle session's DELETE is sent. */
const credentialsAgeMs = (idleTimeoutMs: number): number =>
  Math.min(2 * idleTimeoutMs + MINUTE_MS, MAX_DURATION_MS)
