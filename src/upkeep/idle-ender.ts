// Owns the DELETE for idle sessions (`--end-idle-sessions`), which their clients did not send.
import type { IdleSession } from '../ledger/store-port.js'
import { Transport } from '../mcp/transports.js'
import { reasonOf } from '../util/errors.js'
import { isSuccessful } from '../util/http-status.js'
import { JobPool } from '../util/job-pool.js'
import { type Log, ThrottledLog } from '../util/log.js'
import type { Closable } from '../util/startup.js'

/** DELETE requests under way at once. Chosen: they are not urgent, and must not slow down the requests of clients. */
const MAX_CONCURRENT_DELETES = 8
/** Sessions that may wait for their DELETE; for any more none is sent. Chosen: some 10 MB. */
const MAX_WAITING = 50_000

/** What `startIdleEnder` needs. */
export interface IdleEnderOptions {
  /** Sends the DELETE of a session; the status of the response. Rejects when there is none. */
  end: (session: IdleSession) => Promise<number>
  log: Log
}

/** Sends one DELETE for each session that it is given, a few at a time, the last one given first. */
export interface IdleEnder extends Closable {
  /** These sessions were just closed as idle. */
  add(sessions: readonly IdleSession[]): void
}

/** Starts with none; `close` forgets the sessions that still wait. */
export function startIdleEnder({ end, log }: IdleEnderOptions): IdleEnder {
  const waiting: IdleSession[] = []
  const throttledLog = new ThrottledLog(log)
  const warn = ({ endpointId }: IdleSession, reason: string): void =>
    throttledLog.warn({ endpointId, reason }, 'an idle session could not be ended in the upstream')
  const pool = new JobPool(
    MAX_CONCURRENT_DELETES,
    () => waiting.pop(),
    session =>
      end(session).then(
        status => {
          // 404: the session has ended already. 405: the upstream allows no DELETE, and keeps the session.
          if (!isSuccessful(status) && status !== 404) warn(session, `the upstream responded with ${status}`)
        },
        (error: unknown) => warn(session, reasonOf(error))
      )
  )
  return {
    add(sessions) {
      for (const session of sessions) {
        if (session.transport !== Transport.streamable) continue
        if (waiting.length < MAX_WAITING) waiting.push(session)
        else warn(session, 'too many are waiting')
      }
      pool.call()
    },
    close() {
      waiting.length = 0
      return Promise.resolve()
    }
  }
}
