// Owns finding out whether the upstream serves one connection at a time: then the silent connection of the upstream watch is
// the one that it serves, and every client waits behind it.
//
// Python's http.server, `php -S` and gunicorn's default worker are so (python/cpython#75820, benoitc/gunicorn#2797). What shows it
// is a request that stands still on a new connection, and gets its response as soon as the silent connection is closed.
import { type MonotonicMs, monotonicNow } from '../../util/time.js'

/** After so long without a byte of its response a request stands still. Chosen: few first responses take longer. */
const STAND_STILL_MS = 1_000
/** A response within this time after the silent connection was closed came because of that. Chosen: short, against chance. */
const AT_ONCE_MS = 250
/** After so many stand-stills, and no request that was served meanwhile, the upstream is taken for serial. Chosen. */
const MAX_TRIALS = 3
/** The silent connection must have outlived a response by this time: the upstream may just have closed it. Chosen. */
const PROOF_MS = 100

/**
 * - `none`: there is no silent connection.
 * - `unproven`: there is one, and no response came yet on a connection that was opened after it.
 * - `trial`: it is closed, to see whether that helps a request that stands still.
 * - `concurrent`: the upstream serves others beside it, now and always.
 * - `serial`: it does not.
 */
type State = 'none' | 'unproven' | 'trial' | 'concurrent' | 'serial'

/** What is to be done with the silent connection. */
export interface SerialUpstreamOptions {
  /** Close it: a request stands still. */
  onStandStill: () => void
  /** Open it again: closing it did not help. */
  onSlow: () => void
  /** Leave it closed: the upstream is serial. */
  onFound: () => void
  /** A serial upstream took no connection; it may come back as another process. */
  onRefused: () => void
}

/** Watches the new connections to one upstream; once it has decided it costs nothing. */
export class SerialUpstreamDetector {
  readonly #options: SerialUpstreamOptions
  #state: State = 'none'
  /** Requests on connections newer than the silent one that wait for their response, each with the timer of its stand-still. */
  readonly #waiting = new Map<object, NodeJS.Timeout>()
  #trials = 0
  #closedAt: MonotonicMs = 0
  #proof: NodeJS.Timeout | undefined

  constructor(options: SerialUpstreamOptions) {
    this.#options = options
  }

  /** Whether it is still open which kind the upstream is. */
  get undecided(): boolean {
    return this.#state !== 'concurrent' && this.#state !== 'serial'
  }

  /** Whether the silent connection may be closed for a moment: that is open, and no request waits that will show it. */
  get mayYield(): boolean {
    return this.undecided && this.#waiting.size === 0 && this.#proof === undefined
  }

  /** The silent connection was made. */
  silentOpened(): void {
    this.#begin('unproven')
  }

  /** It is gone. */
  silentClosed(): void {
    if (this.#state === 'unproven') this.#begin('none')
  }

  /** A request for which the upstream should have a response soon goes out, as the first one on this connection. */
  requested(connection: object): void {
    if (this.#state !== 'unproven') return
    const timer = setTimeout(() => this.#onStandStill(), STAND_STILL_MS).unref()
    this.#waiting.set(connection, timer)
  }

  /** The first bytes came on this connection. */
  responded(connection: object): void {
    if (!this.undecided) return
    const waited = this.#waiting.has(connection)
    if (this.#state === 'unproven' && waited) {
      clearTimeout(this.#waiting.get(connection))
      this.#waiting.delete(connection)
      this.#proof ??= setTimeout(() => this.#begin('concurrent'), PROOF_MS).unref()
    } else if (this.#state === 'trial') {
      const atOnce = waited && monotonicNow() - this.#closedAt <= AT_ONCE_MS
      if (atOnce || (waited && this.#trials >= MAX_TRIALS)) this.#found()
      // Nothing is served beside a request that a serial upstream works on.
      else this.#endTrial()
    }
  }

  /** The connection is gone. */
  closed(connection: object): void {
    clearTimeout(this.#waiting.get(connection))
    if (this.#waiting.delete(connection) && this.#state === 'trial' && this.#waiting.size === 0)
      this.#endTrial()
  }

  /** The upstream took no connection. */
  refused(): void {
    if (this.#state === 'serial') this.#options.onRefused()
  }

  #onStandStill(): void {
    for (const timer of this.#waiting.values()) clearTimeout(timer)
    clearTimeout(this.#proof)
    this.#state = 'trial'
    this.#trials++
    this.#closedAt = monotonicNow()
    this.#options.onStandStill()
  }

  #endTrial(): void {
    this.#begin('none')
    this.#options.onSlow()
  }

  #found(): void {
    this.#begin('serial')
    this.#options.onFound()
  }

  #begin(state: State): void {
    if (!this.undecided) return
    for (const timer of this.#waiting.values()) clearTimeout(timer)
    this.#waiting.clear()
    clearTimeout(this.#proof)
    this.#proof = undefined
    this.#state = state
  }
}
