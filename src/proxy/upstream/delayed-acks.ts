// Owns finding out whether delayed acknowledgements (delayed ACKs) slow the upstream's responses down, and whether it helps
// to let its connections rest. Needed only where quick-acks.ts cannot end them.
//
// An upstream that leaves Nagle's algorithm on, as plain `axum::serve` does (tokio-rs/axum#2521), holds the second part of a
// response back until the first is acknowledged. The kernel here delays that acknowledgement by 40 ms, but not on a connection
// that is new or has rested. So once the fault is found, the pool (connection-pool.ts) gives out rested connections only.
//
// Anything sent meanwhile would carry the acknowledgement along, even an empty line (RFC 9112 §2.2). But hyper no longer
// notices a client that leaves while it has bytes to read (measured on rmcp 0.10: streams outlive their clients).
import { MINUTE_MS, type MonotonicMs, monotonicNow, SECOND_MS } from '../../util/time.js'

/** After a rest of this length a connection acknowledges at once (measured: 20 ms is too short). */
export const restMs = 60
/** After a rest of at most this length it does not. Chosen: below `restMs`, and above the gaps of a busy connection. */
const noRestMs = 30
/** When the second part of a response comes that waited for a delayed acknowledgement: 40 ms, with room for a busy machine. */
const stallMs = { from: 35, to: 90 }
/**
 * From one control, or from one trial that failed, to the next: doubled each time, for a control hurts where the fault is, and
 * a tool that streams every 40 ms fails each trial. Issue 20.
 */
const waitMs = { first: 5 * SECOND_MS, longest: 5 * MINUTE_MS }

/** `trial`: connections rest, to see whether that helps. `found`: it does; they rest, but for a request now and then, a control. */
type State = 'none' | 'trial' | 'found'

/**
 * What ends a state: so many stalls, or else so many responses; and what follows. The numbers are chosen: enough responses that
 * chance does not decide, few enough to decide in seconds.
 */
const ends: Record<State, { stalls: number; responses: number; ifStalled: State; ifNot: State }> = {
  none: { stalls: 4, responses: 16, ifStalled: 'trial', ifNot: 'none' },
  trial: { stalls: 2, responses: 48, ifStalled: 'none', ifNot: 'found' },
  found: { stalls: 1, responses: 8, ifStalled: 'found', ifNot: 'none' }
}

/** Watches all connections to one upstream. */
export class DelayedAckDetector {
  #state: State = 'none'
  #responses = 0
  #stalls = 0
  /** No trial, and no control, before. */
  #nextAt: MonotonicMs = 0
  #waitMs = waitMs.first
  readonly #onFound: () => void

  /** `onFound` is called each time the fault is found. */
  constructor(onFound: () => void) {
    this.#onFound = onFound
  }

  /** Whether the upstream has the fault, and its connections rest. */
  get found(): boolean {
    return this.#state === 'found'
  }

  /** Whether the connection for a request must have rested. `mayBeControl`: it may stall to show whether the fault is still there. */
  shouldRest(now: MonotonicMs, mayBeControl: boolean): boolean {
    if (this.#state !== 'found') return this.#state === 'trial'
    if (!mayBeControl || now < this.#nextAt) return true
    this.#wait(now)
    return false
  }

  /**
   * Takes note of a response on a connection that had done nothing for `idleMs`: its second part came `gapMs` after the first; 0
   * if all came at once. What came later still waited for something else.
   */
  note(gapMs: number, idleMs: number, now: MonotonicMs): void {
    const state = this.#state
    if (gapMs > stallMs.to) return
    if (state === 'none' && (gapMs === 0 || now < this.#nextAt)) return
    if (state === 'trial' ? idleMs < restMs : idleMs > noRestMs) return
    this.#responses++
    if (gapMs >= stallMs.from) this.#stalls++
    else if (state === 'found') this.#waitMs = waitMs.first
    const { stalls, responses, ifStalled, ifNot } = ends[state]
    const isStalled = this.#stalls >= stalls
    if (!isStalled && this.#responses < responses) return
    this.#state = isStalled ? ifStalled : ifNot
    this.#responses = 0
    this.#stalls = 0
    if (state !== 'trial') return
    if (this.found) this.#waitMs = waitMs.first
    this.#wait(now)
    if (this.found) this.#onFound()
  }

  #wait(now: MonotonicMs): void {
    this.#nextAt = now + this.#waitMs
    this.#waitMs = Math.min(2 * this.#waitMs, waitMs.longest)
  }
}

/** Times the parts of the responses on one connection, for a `DelayedAckDetector`. */
export class ResponseTiming {
  readonly #detector: DelayedAckDetector
  #idleMs = 0
  /** Reads of the response so far, and when the first one was. */
  #reads = 0
  #firstAt: MonotonicMs = 0

  constructor(detector: DelayedAckDetector) {
    this.#detector = detector
  }

  /** A request is sent, on a connection that did nothing for `idleMs`. */
  begin(idleMs: number): void {
    this.#idleMs = idleMs
    this.#reads = 0
  }

  /** A part of the response was read. */
  read(complete: boolean): void {
    if (++this.#reads > 2) return
    const now = monotonicNow()
    if (this.#reads === 1) this.#firstAt = now
    if (this.#reads === 2 || complete) this.#detector.note(now - this.#firstAt, this.#idleMs, now)
  }
}
