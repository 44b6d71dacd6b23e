// Owns the start of an instance's session tracking: observations become events of the ledger, uses once a second.
import { ClientCredentials } from '../sessions/client-credentials.js'
import type { SessionEvent } from '../sessions/events.js'
import type { Observe } from '../sessions/observations.js'
import { SessionTracker } from '../sessions/tracker.js'
import type { Closable } from '../util/startup.js'
import { epochNow, MAX_DURATION_MS, MINUTE_MS } from '../util/time.js'
import { startMessagePlacement } from './message-placement.js'
import type { InstanceLedger } from './start-ledger.js'

/** How often uses are recorded, and the outbox notes that the process is alive. Chosen. */
const TICK_MS = 1_000

/** The settings of session tracking. */
export interface SessionSettings {
  /** 0: sessions never idle. */
  sessionIdleTimeoutMs: number
  /** Whether sessions that may be gone are pinged. */
  confirmSuspects: boolean
}

/** The session tracking of one instance. */
export interface Sessions extends Closable {
  readonly tracker: SessionTracker
  /** How clients reach their sessions, for requests of our own. */
  readonly credentials: ClientCredentials
  readonly observe: Observe
  /** Resolves once the store has what was observed, or cannot have it soon. */
  shipped(): Promise<void>
}

/** Starts it. `close` records all uses that are pending, and waits for the store to have them, for 5 s at most. */
export function startSessions(
  { sessionIdleTimeoutMs, confirmSuspects }: SessionSettings,
  ledger: InstanceLedger
): Sessions {
  const { recorder, liveCounts, store, shipper } = ledger
  const tracker = new SessionTracker({
    idleTimeoutMs: sessionIdleTimeoutMs,
    confirmSuspects,
    onChange: (endpointId, by) => liveCounts?.change(endpointId, by)
  })
  const tick = (atLeast?: number): void => recorder.tick(tracker.flush(epochNow(), atLeast), epochNow())
  const ticking = setInterval(() => tick(), TICK_MS)
  const record = (events: readonly SessionEvent[]): void => {
    recorder.record(events)
    liveCounts?.recorded()
  }
  const placement = startMessagePlacement({ tracker, store, record })
  const credentials = new ClientCredentials()
  const aging =
    sessionIdleTimeoutMs > 0
      ? setInterval(() => credentials.age(), credentialsAgeMs(sessionIdleTimeoutMs))
      : undefined
  return {
    tracker,
    credentials,
    observe: observation => record(tracker.observe(observation)),
    async shipped() {
      tick()
      await ledger.shipped()
    },
    async close() {
      clearInterval(aging)
      clearInterval(ticking)
      // A message may be of a session that only the outbox knows.
      if (tracker.unplaced.size > 0 && shipper.failure === undefined) await ledger.shipped()
      await placement.close()
      tick(Infinity)
      await ledger.shipped()
    }
  }
}

/** Credentials are kept longer than it takes until an idle session's DELETE is sent. */
const credentialsAgeMs = (idleTimeoutMs: number): number =>
  Math.min(2 * idleTimeoutMs + MINUTE_MS, MAX_DURATION_MS)
