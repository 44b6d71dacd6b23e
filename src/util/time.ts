// Owns units of time.

/** The longest delay that a Node timer takes; a longer one would fire at once. */
export const MAX_DURATION_MS = 2 ** 31 - 1

export const MINUTE_MS = 60_000

export const DAY_MS = 86_400_000
