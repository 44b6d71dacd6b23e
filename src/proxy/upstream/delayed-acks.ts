// Owns knowing whether the upstream leaves Nagle's algorithm on, as plain `axum::serve` does (tokio-rs/axum#2521): the second
// part of its answers then waits for the acknowledgement of the first, which the kernel here delays by 40 ms, but not on a
// connection that is new or has rested. What is found is used by the pool, in connections.ts.
//
// Anything sent meanwhile would carry the acknowledgement along, even an empty line (RFC 9112 §2.2). But hyper, with bytes
// unread, no longer notices a client that leaves (measured on rmcp 0.10: streams outlive their clients).

/** After a rest as long a connection acknowledges at once (20 ms is too short), and after one as short it does not. */
export const restMs = 60
const noRestMs = 30
/** Where the kernel's delayed acknowledgement falls, with room for a busy machine. */
const stallMs = { from: 35, to: 90 }
/** So many stalls in so many answers are suspicious. */
const SAMPLES = 16
const SUSPICIOUS = 4
/** So many may remain in so many answers on rested connections. */
const TRIALS = 48
const TOLERATED = 1
/** With a tool that streams every 40 ms it looks the same; then resting changes nothing and is not tried again for a while. */
const RETRY_MS = 60_000
/** Once it is found, one request an interval goes without a rest; after so many that did not stall, the fault is gone. */
const CONTROL_INTERVAL_MS = 5_000
const CONTROLS = 8

/** `trial`: does resting help? `found`: it does. */
type State = 'none' | 'trial' | 'found'

export class DelayedAckDetector {
  #state: State = 'none'
  #samples = 0
  #stalls = 0
  #retryAt = 0
  #controlAt = 0
  readonly #onFound: () => void

  /** `onFound` is called each time the fault is found. */
  constructor(onFound: () => void) {
    this.#onFound = onFound
  }

  get found(): boolean {
    return this.#state === 'found'
  }

  /** Whether the connection for a request must have rested. Times: `performance.now()`. */
  shouldRest(now: number): boolean {
    if (this.#state !== 'found' || now < this.#controlAt) return this.#state !== 'none'
    this.#controlAt = now + CONTROL_INTERVAL_MS
    return false
  }

  /**
   * On a connection that had done nothing for `idleMs`, the second part of an answer came `gapMs` after the first; 0 where
   * all came at once.
   */
  note(gapMs: number, idleMs: number, now: number): void {
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

/** The timing of the answers on one connection. */
export class ResponseTiming {
  readonly #nagle: DelayedAckDetector
  #idleMs = 0
  /** Reads of the answer so far, and when the first one was. */
  #reads = 0
  #firstAt = 0

  constructor(nagle: DelayedAckDetector) {
    this.#nagle = nagle
  }

  /** A request is sent, on a connection that did nothing for `idleMs`. */
  begin(idleMs: number): void {
    this.#idleMs = idleMs
    this.#reads = 0
  }

  /** A part of the answer was read. */
  read(complete: boolean): void {
    if (++this.#reads > 2) return
    const now = performance.now()
    if (this.#reads === 1) this.#firstAt = now
    if (this.#reads === 2 || complete) this.#nagle.note(now - this.#firstAt, this.#idleMs, now)
  }
}
