// Owns finding out whether delayed acknowledgements (delayed ACKs) slow the upstream's responses down, and whether it helps
// to let its connections rest.
//
// An upstream that leaves Nagle's algorithm on, as plain `axum::serve` does (tokio-rs/axum#2521), holds the second part of a
// response back until the first is acknowledged. The kernel here delays that acknowledgement by 40 ms, but not on a connection
// that is new or has rested. So once the fault is found, the pool (connection-pool.ts) gives out rested connections only.
//
// Anything sent meanwhile would carry the acknowledgement along, even an empty line (RFC 9112 §2.2). But hyper no longer
// notices a client that leaves while it has bytes to read (measured on rmcp 0.10: streams outlive their clients).
import { type MonotonicMs, monotonicNow } from '../../util/time.js'

/** After a rest of this length a connection acknowledges at once (measured: 20 ms is too short). */
export const restMs = 60
/** After a rest of at most this length it does not. Chosen: below `restMs`, and above the gaps of a busy connection. */
const noRestMs = 30
/** When the second part of a response comes that waited for a delayed acknowledgement: 40 ms, with room for a busy machine. */
const stallMs = { from: 35, to: 90 }
// The numbers of responses below are chosen: enough of them that chance does not decide, few enough to decide in seconds.
/** `SUSPICIOUS` stalls in `SAMPLES` responses start a trial. */
const SAMPLES = 16
const SUSPICIOUS = 4
/** The trial succeeds with at most `TOLERATED` stalls in `TRIALS` responses on rested connections. */
const TRIALS = 48
const TOLERATED = 1
/** After a trial that failed the next one waits: a tool that streams every 40 ms looks the same, and resting changes nothing. */
const RETRY_MS = 60_000
/** Chosen. Once the fault is found, one request per interval goes out without a rest, as a control. */
const CONTROL_INTERVAL_MS = 5_000
/** After so many controls that did not stall the fault is gone. */
const CONTROLS = 8

/** `trial`: connections rest, to see whether that helps. `found`: it does, and they rest. */
type State = 'none' | 'trial' | 'found'

/** Watches all connections to one upstream. */
export class DelayedAckDetector {
  #state: State = 'none'
  #samples = 0
  #stalls = 0
  #retryAt: MonotonicMs = 0
  #controlAt: MonotonicMs = 0
  readonly #onFound: () => void

  /** `onFound` is called each time the fault is found. */
  constructor(onFound: () => void) {
    this.#onFound = onFound
  }

  /** Whether the upstream has the fault, and its connections rest. */
  get found(): boolean {
    return this.#state === 'found'
  }

  /** Whether the connection for a request must have rested. */
  shouldRest(now: MonotonicMs): boolean {
    if (this.#state !== 'found' || now < this.#controlAt) return this.#state !== 'none'
    this.#controlAt = now + CONTROL_INTERVAL_MS
    return false
  }

  /**
   * Takes note of a response on a connection that had done nothing for `idleMs`: its second part came `gapMs` after the first; 0
   * if all came at once.
   */
  note(gapMs: number, idleMs: number, now: MonotonicMs): void {
    if (this.#state === 'none' && gapMs === 0) return
    if (this.#state === 'trial' ? idleMs < restMs : idleMs > noRestMs) return
    if (now < this.#retryAt) return
    const stalled = gapMs >= stallMs.from && gapMs <= stallMs.to
    this.#samples++
    if (stalled) this.#stalls++
    switch (this.#state) {
      case 'none':
        if (this.#stalls >= SUSPICIOUS) this.#enter('trial')
        else if (this.#samples >= SAMPLES) this.#enter('none')
        return
      case 'trial':
        if (this.#stalls > TOLERATED) {
          this.#retryAt = now + RETRY_MS
          this.#enter('none')
        } else if (this.#samples >= TRIALS) {
          this.#controlAt = now + CONTROL_INTERVAL_MS
          this.#enter('found')
          this.#onFound()
        }
        return
      case 'found':
        if (stalled) this.#enter('found')
        else if (this.#samples >= CONTROLS) this.#enter('none')
    }
  }

  #enter(state: State): void {
    this.#state = state
    this.#samples = 0
    this.#stalls = 0
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
