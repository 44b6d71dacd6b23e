// Owns units of time, and that instants of two clocks are not taken for each other.
//
// The types are tags: a plain number fits each of them (the result of arithmetic, a literal in a test), but an instant of
// one clock does not fit where the other one is wanted.

/** An instant on the wall clock: milliseconds since 1970-01-01T00:00:00Z. */
export type EpochMs = number & { readonly clock?: 'epoch' }

/** An instant on the clock of this process: milliseconds since it started. It never goes back; for durations. */
export type MonotonicMs = number & { readonly clock?: 'monotonic' }

/** In which the wall clock, told in whole milliseconds, comes to a new one; and enough samples where others use the CPU meanwhile. */
const SAMPLED_MS = 2
const MIN_SAMPLES = 1_000

/**
 * What the wall clock said when the clock of this process began. Each sample is behind by what the wall clock cut off, and by
 * how long the process waited for its turn between the two clocks; so the highest is right. Else a session could begin
 * before its client asked for it.
 */
function clockStart(): EpochMs {
  const until = performance.now() + SAMPLED_MS
  let start = -Infinity
  for (let i = 0; i < MIN_SAMPLES || performance.now() < until; i++)
    start = Math.max(start, Date.now() - performance.now())
  return start
}

const startedAt: EpochMs = clockStart()

/**
 * The instant on the wall clock as this process tells it: set when the process (or thread) starts, it then goes with the
 * clock of the process, so it never goes back, nor jumps. Where the wall clock is put right meanwhile, the ledger follows:
 * ledger/pipeline/ledger-clock.ts.
 */
export const epochNow = (): EpochMs => Math.floor(preciseNow())

/** The same with its fraction. */
export const preciseNow = (): EpochMs => startedAt + performance.now()

/** The instant on the wall clock for questions about the ledger; a wall clock that was put back hides nothing that was told. */
export const latestNow = (): EpochMs => Math.max(Date.now(), epochNow())

/** The instant on the clock of this process. */
export const monotonicNow = (): MonotonicMs => performance.now()

/** A second in milliseconds. */
export const SECOND_MS = 1_000
/** A minute in milliseconds. */
export const MINUTE_MS = 60_000
/** An hour in milliseconds. */
export const HOUR_MS = 3_600_000
/** A day (UTC has no other lengths) in milliseconds. */
export const DAY_MS = 86_400_000

/** The longest delay that a Node timer takes (2^31 - 1); a longer one would fire at once. */
export const MAX_DURATION_MS = 2 ** 31 - 1

/** Chosen: a client that is too late is cut at most that much later. */
const MAX_CHECK_INTERVAL_MS = 5 * SECOND_MS

/** How often a server of Node is to look for requests that take longer than `timeoutMs`. */
export const checkIntervalMs = (timeoutMs: number): number =>
  Math.min(timeoutMs / 4 || MAX_CHECK_INTERVAL_MS, MAX_CHECK_INTERVAL_MS)
