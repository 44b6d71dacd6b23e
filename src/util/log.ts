// Owns how the ledger logs: what it needs of a logger, and that a lasting failure is logged once a second.

/** The part of a pino logger that the ledger uses. */
export interface Log {
  warn(details: object, message: string): void
  info(details: object, message: string): void
}

/** Often enough to see in the log how long a failure lasts, and rarely enough not to fill the disk. */
const INTERVAL_MS = 1_000

/** Throttles warnings: at most one a second is logged, those in between are dropped. */
export class ThrottledWarning {
  readonly #log: Log
  #loggedAt = 0

  constructor(log: Log) {
    this.#log = log
  }

  warn(details: object, message: string): void {
    const now = Date.now()
    if (now - this.#loggedAt < INTERVAL_MS) return
    this.#loggedAt = now
    this.#log.warn(details, message)
  }
}
