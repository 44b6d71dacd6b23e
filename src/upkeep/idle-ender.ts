// Owns ending idle sessions in the gateway: the DELETE that their clients forgot.
import type { IdleSession } from '../ledger/store-port.js'
import { Transport } from '../mcp/transports.js'
import { reasonOf } from '../util/errors.js'
import { JobPool } from '../util/job-pool.js'
import { type Log, ThrottledWarning } from '../util/log.js'

const DELETES_AT_ONCE = 8
const MAX_WAITING = 50_000

/** A session ends when the gateway accepts that, or does not know it; a gateway that allows no DELETE (405) keeps it. */
const isSettled = (status: number): boolean => (status >= 200 && status < 300) || status === 404

export class IdleEnder {
  readonly #waiting: IdleSession[] = []
  readonly #crew: JobPool<IdleSession>
  readonly #warning: ThrottledWarning

  /** `end` sends the DELETE of a session and gives the status of the answer. */
  constructor(end: (session: IdleSession) => Promise<number>, log: Log) {
    this.#warning = new ThrottledWarning(log)
    this.#crew = new JobPool(
      DELETES_AT_ONCE,
      () => this.#waiting.pop(),
      session =>
        end(session).then(
          status => {
            if (!isSettled(status)) this.#warn(session, `the gateway answered ${status}`)
          },
          (error: unknown) => this.#warn(session, reasonOf(error))
        )
    )
  }

  /** Sessions that were just closed as idle. */
  add(sessions: readonly IdleSession[]): void {
    for (const session of sessions) {
      if (session.transport !== Transport.streamable) continue
      if (this.#waiting.length < MAX_WAITING) this.#waiting.push(session)
      else this.#warn(session, 'too many are waiting')
    }
    this.#crew.call()
  }

  #warn({ endpointId }: IdleSession, reason: string): void {
    this.#warning.warn({ endpointId, reason }, 'an idle session could not be ended in the gateway')
  }
}
