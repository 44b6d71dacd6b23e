// Owns making room for the sessions of a principal (`--max-sessions-per-principal` with `--when-full evict-idlest`): where it has
// more than it may have, the idlest are ended.
import type { FoundSessions } from '../ledger/pipeline/principal-lookup.js'
import type { Principal } from '../mcp/principal.js'
import { type SessionIds, sessionKey } from '../mcp/stored-ids.js'
import type { Transport } from '../mcp/transports.js'
import { reasonOf } from '../util/errors.js'
import { JobPool } from '../util/job-pool.js'
import { type Log, ThrottledLog } from '../util/log.js'
import type { Closable } from '../util/startup.js'
import { type EpochMs, SECOND_MS } from '../util/time.js'

/** Principals for which room is made at once. Chosen: each asks the store, and then a gateway. */
const MAX_CONCURRENT = 8
/**
 * So long the uses that other proxies saw are waited for. Chosen: they tell them once a second (sessions/use-batching.ts), but for
 * very many.
 */
const TOLD_MS = 1.1 * SECOND_MS
/** Principals that may wait for that; for any more no room is made until they open another session. Chosen: some megabytes. */
const MAX_WAITING = 10_000
/** How long the store may take. Chosen: nobody waits for it. */
const LOOK_UP_TIMEOUT_MS = 2 * SECOND_MS
/** So many sessions of a principal are looked at. Chosen: far more than anybody who sets the limit allows. */
const MAX_SESSIONS = 5_000
/** After so many sessions that could not be ended the others are left alone for the time. Chosen: one gateway refuses them all. */
const MAX_FAILURES = 8
/** When room is made again that could not be made: after the first of these, and twice as long each time up to the second. Chosen. */
const MIN_RETRY_MS = SECOND_MS
const MAX_RETRY_MS = 60 * SECOND_MS

/** A session that may be ended. */
export interface Candidate extends SessionIds {
  transport: Transport
  upstream: string | null | undefined
  connectAt: EpochMs
  lastSeenAt: EpochMs
}

/** What `startIdlestEnder` needs. Times are the ledger's. */
export interface IdlestEnderOptions {
  /** How many sessions a principal may have. */
  limit: number
  /** The sessions that the store has; undefined where it does not say it in time. */
  read: (principal: Principal, limit: number, timeoutMs: number) => Promise<FoundSessions | undefined>
  /** Those that this process knows. */
  known: (principal: Principal) => readonly Candidate[]
  /** When a session was last used, as far as this process knows. */
  lastSeenAt: (session: SessionIds) => EpochMs | undefined
  /** Sessions (`sessionKey`) that have a call under way. */
  inCall: () => ReadonlySet<string>
  /** Whether other processes may have seen uses that the store does not know yet. */
  hasOthers: () => boolean
  /** Whether this process can end it: not a legacy session whose stream runs through another one. */
  mayEnd: (session: Candidate) => boolean
  /** Ends a session as an operator does. Rejects where that cannot be done. */
  end: (session: Candidate, principal: Principal) => Promise<void>
  log: Log
}

/** Makes room for principals. */
export interface IdlestEnder extends Closable {
  /** The principal has one more session, whose event is recorded at the end of this turn of the event loop. */
  add(principal: Principal): void
  /** Sessions that were ended, and attempts that failed, since the process started. */
  readonly ended: number
  readonly failed: number
}

/** Starts with nothing to do; `close` forgets the principals that wait. */
export function startIdlestEnder(options: IdlestEnderOptions): IdlestEnder {
  const { log } = options
  const throttledLog = new ThrottledLog(log)
  const scheduled = new Set<string>()
  const waiting = new Map<string, Principal>()
  const working = new Set<string>()
  const retrying = new Map<string, { timer: NodeJS.Timeout; delayMs: number }>()
  let isClosed = false
  const counts = { ended: 0, failed: 0 }

  const end = async (session: Candidate, principal: Principal): Promise<boolean> => {
    const { endpointId } = session
    try {
      await options.end(session, principal)
      counts.ended++
      throttledLog.info({ endpointId }, 'a session was ended to make room for another one of its principal')
      return true
    } catch (error) {
      counts.failed++
      throttledLog.warn(
        { endpointId, reason: reasonOf(error) },
        'a session could not be ended to make room for another one of its principal'
      )
      return false
    }
  }

  /** Whether there is room for sure. */
  const makeRoom = async (principal: Principal): Promise<boolean> => {
    const found = await options.read(principal, MAX_SESSIONS, LOOK_UP_TIMEOUT_MS)
    const sessions = found?.isCurrent ? found.rows : options.known(principal)
    const surplus = (found?.isCurrent ? found.openNum : sessions.length) - options.limit
    const victims = idlestFirst(sessions, options)
    let [ended, failed] = [0, 0]
    for (let i = 0; i < victims.length && ended < surplus && failed < MAX_FAILURES && !isClosed; i++) {
      if (await end(victims[i]!, principal)) ended++
      else failed++
    }
    return found?.isCurrent === true && ended >= surplus
  }

  const work = async (principal: Principal): Promise<void> => {
    const { name } = principal
    working.add(name)
    const hasRoom = await makeRoom(principal).catch(() => false)
    working.delete(name)
    const retry = retrying.get(name)
    if (hasRoom) retrying.delete(name)
    else if (!isClosed && (retry !== undefined || retrying.size < MAX_WAITING)) {
      const delayMs = Math.min(2 * (retry?.delayMs ?? MIN_RETRY_MS / 2), MAX_RETRY_MS)
      clearTimeout(retry?.timer)
      retrying.set(name, { delayMs, timer: setTimeout(() => add(principal), delayMs).unref() })
    }
  }
  const pool = new JobPool(
    MAX_CONCURRENT,
    () => {
      for (const [name, principal] of waiting) {
        if (working.has(name)) continue
        waiting.delete(name)
        return principal
      }
      return undefined
    },
    work
  )
  const begin = (principal: Principal): void => {
    scheduled.delete(principal.name)
    if (isClosed) return
    waiting.set(principal.name, principal)
    pool.call()
  }
  const add = (principal: Principal): void => {
    const { name } = principal
    if (isClosed || scheduled.has(name) || scheduled.size + waiting.size >= MAX_WAITING) return
    scheduled.add(name)
    setTimeout(begin, options.hasOthers() ? TOLD_MS : 0, principal).unref()
  }
  return {
    add,
    get ended() {
      return counts.ended
    },
    get failed() {
      return counts.failed
    },
    close() {
      isClosed = true
      waiting.clear()
      for (const { timer } of retrying.values()) clearTimeout(timer)
      return Promise.resolve()
    }
  }
}

/** Those that can be ended here: all but the one that opened last. One with a call under way comes after the others. */
function idlestFirst(
  sessions: readonly Candidate[],
  { lastSeenAt, inCall, mayEnd }: Pick<IdlestEnderOptions, 'lastSeenAt' | 'inCall' | 'mayEnd'>
): Candidate[] {
  const busy = inCall()
  const newest = sessions.reduce<Candidate | undefined>(
    (best, session) => (best === undefined || session.connectAt >= best.connectAt ? session : best),
    undefined
  )
  return sessions
    .filter(session => session !== newest && mayEnd(session))
    .map(session => ({
      session,
      isBusy: Number(busy.has(sessionKey(session))),
      seenAt: Math.max(session.lastSeenAt, lastSeenAt(session) ?? 0)
    }))
    .sort((a, b) => a.isBusy - b.isBusy || a.seenAt - b.seenAt || a.session.connectAt - b.session.connectAt)
    .map(({ session }) => session)
}
