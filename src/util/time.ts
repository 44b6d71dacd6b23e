// Owns units of time, and that instants of two clocks are not taken for each other.
//
// The types are tags: a plain number fits each of them (the result of arithmetic, a literal in a test), but an instant of
// one clock does not fit where the other one is wanted.

/** An instant on the wall clock: milliseconds since 1970-01-01T00:00:00Z. */
export type EpochMs = number & { readonly clock?: 'epoch' }

/** An instant on the clock of this process: milliseconds since it started. It never goes back; for durations. */
export type MonotonicMs = number & { readonly clock?: 'monotonic' }

/**
 * Waits for the next millisecond of the wall clock, which is told in whole ones: else all instants would be behind by what
 * was cut off, and a session could begin before its client asked for it. Ends where the clock stands still, too.
 */
function nextMillisecond(): EpochMs {
  const before = Date.now()
  const until = performance.now() + 2
  let now: EpochMs
  do now = Date.now()
  while (now === before && performance.now() < until)
  return now
}

/** What the wall clock said when the clock of this process began. */
const startedAt: EpochMs = nextMillisecond() - performance.now()

/**
 * The instant on the wall clock as this process tells it: set when the process (or thread) starts, it then goes with the
 * clock of the process, so it never goes back, nor jumps. Where the wall clock is put right meanwhile, the ledger follows:
 * ledger/pipeline/ledger-clock.ts.
 */
export const epochNow = (): EpochMs => Math.floor(startedAt + performance.now())

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
