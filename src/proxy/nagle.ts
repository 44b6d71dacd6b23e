// Owns knowing whether the upstream leaves Nagle's algorithm on, as plain `axum::serve` does (tokio-rs/axum#2521): the second
// part of its answers then waits for the acknowledgement of the first, which the kernel here delays by 40 ms.
//
// What helps is anything sent to it, as the acknowledgement goes along: an empty line, which a server ignores before a
// request line (RFC 9112 §2.2). Connections that rest before they are used again help too, but take hundreds of them.

/** Where the kernel's delayed acknowledgement falls, with room for a busy machine. */
const stallMs = { from: 35, to: 90 }
/** Parts of answers that one decision looks at, and how many must have stalled for a suspicion, or may after a nudge. */
const SAMPLES = 16
const SUSPICIOUS = 4
const TOLERATED = 1
/** In a streaming tool events 40 ms apart look the same; then nudging changes nothing and is not tried again for a while. */
const RETRY_MS = 60_000
/** While nudging, one part an interval goes without; after so many in a row that did not stall, the fault is gone. */
const CONTROL_INTERVAL_MS = 5_000
const CONTROLS = 8

/** `trial`: does nudging help? `found`: it does. */
type State = 'none' | 'trial' | 'found'

export class NagleDetector {
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

  /** Whether to nudge for the rest of an answer now, at `now` (`performance.now()`). */
  shouldNudge(now: number): boolean {
    if (this.#state !== 'found' || now < this.#controlAt) return this.#state !== 'none'
    this.#controlAt = now + CONTROL_INTERVAL_MS
    return false
  }

  /** The second part of an answer came `gapMs` after the first, on a connection that had not rested. */
  note(gapMs: number, nudged: boolean, now: number): void {
    const stalled = gapMs >= stallMs.from && gapMs <= stallMs.to
    switch (this.#state) {
      case 'none':
        if (now < this.#retryAt) return
        this.#count(stalled)
        if (this.#stalls >= SUSPICIOUS) this.#enter('trial')
        else if (this.#samples >= SAMPLES) this.#enter('none')
        return
      case 'trial':
        if (!nudged) return
        this.#count(stalled)
        if (this.#stalls > TOLERATED) {
          this.#retryAt = now + RETRY_MS
          this.#enter('none')
        } else if (this.#samples >= SAMPLES) {
          this.#controlAt = now + CONTROL_INTERVAL_MS
          this.#enter('found')
          this.#onFound()
        }
        return
      case 'found':
        if (nudged) return
        this.#count(stalled)
        if (stalled) this.#enter('found')
        else if (this.#samples >= CONTROLS) this.#enter('none')
    }
  }

  #count(stalled: boolean): void {
    this.#samples++
    if (stalled) this.#stalls++
  }

  #enter(state: State): void {
    this.#state = state
    this.#samples = 0
    this.#stalls = 0
  }
}

/** Later parts of an answer are likely events of a stream, which come when they come. */
const MAX_NUDGES = 8
/** Having rested as long, a connection acknowledges at once. */
const RESTED_MS = 30

/** The timing of the answers on one connection. */
export class AnswerTiming {
  readonly #nagle: NagleDetector
  #rested = true
  /** Reads of the answer so far that did not complete it, and when the first one was. */
  #parts = 0
  #firstAt = 0
  #nudged = false

  constructor(nagle: NagleDetector) {
    this.#nagle = nagle
  }

  /** A request is sent, on a connection that did nothing for `idleMs`. */
  begin(idleMs: number): void {
    this.#rested = idleMs > RESTED_MS
    this.#parts = 0
  }

  /** A part of the answer came. Whether to nudge the upstream for the next. */
  part(complete: boolean): boolean {
    if (this.#parts > MAX_NUDGES || (complete && this.#parts === 0)) return false
    const now = performance.now()
    if (this.#parts === 1 && !this.#rested) this.#nagle.note(now - this.#firstAt, this.#nudged, now)
    if (complete) return false
    if (this.#parts++ === 0) {
      this.#firstAt = now
      this.#nudged = this.#nagle.shouldNudge(now)
    }
    return this.#nudged
  }
}
