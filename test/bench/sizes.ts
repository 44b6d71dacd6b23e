// Owns the sizes that both ends of a benchmark know.
export const BODY_BYTES = 1_000_000
export const MAX_STREAMS = 8_000
