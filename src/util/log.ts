// Owns how the ledger logs: what it needs of a logger, the words of a failure, and that a lasting one is told once a second.

export interface Log {
  warn(details: object, message: string): void
  info(details: object, message: string): void
}

const INTERVAL_MS = 1_000

/** Warns at most once a second; what comes in between is left out. */
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
