// Owns throttled logging: the part of a logger that the rooms need, and a log that samples lines of one kind.
import { SECOND_MS } from './time.js'

/** The part of a pino logger that the rooms use. */
export interface Log {
  error(details: object, message: string): void
  warn(details: object, message: string): void
  info(details: object, message: string): void
}

/** The lines of one kind within the period that began with the first of them. */
interface Kind {
  logged: number
  /** Those that were not logged, and the details of the last of them. */
  held: number
  details: object
}

/**
 * Samples lines. Of each kind, which is a level and a message, the first is logged at once; those that follow within a second, or
 * another period, become one line, with the details of the last of them and their number in `repeated`, and so on. Messages must
 * be constant: what varies belongs into the details.
 */
export class ThrottledLog implements Log {
  readonly #log: Log
  readonly #perPeriod: number
  readonly #periodMs: number
  readonly #kinds = new Map<string, Kind>()

  /** `perPeriod`: how many lines of a kind are logged as they are within `periodMs`. */
  constructor(log: Log, perPeriod = 1, periodMs = SECOND_MS) {
    this.#log = log
    this.#perPeriod = perPeriod
    this.#periodMs = periodMs
  }

  error(details: object, message: string): void {
    this.#sample('error', details, message)
  }

  warn(details: object, message: string): void {
    this.#sample('warn', details, message)
  }

  info(details: object, message: string): void {
    this.#sample('info', details, message)
  }

  #sample(level: keyof Log, details: object, message: string): void {
    const kind = this.#kinds.get(`${level} ${message}`) ?? this.#begin(level, message)
    if (kind.logged < this.#perPeriod) {
      kind.logged++
      this.#log[level](details, message)
    } else {
      kind.held++
      kind.details = details
    }
  }

  #begin(level: keyof Log, message: string): Kind {
    const kind: Kind = { logged: 0, held: 0, details: {} }
    this.#kinds.set(`${level} ${message}`, kind)
    setTimeout(() => {
      this.#kinds.delete(`${level} ${message}`)
      if (kind.held > 0) this.#sample(level, { ...kind.details, repeated: kind.held }, message)
    }, this.#periodMs).unref()
    return kind
  }
}
