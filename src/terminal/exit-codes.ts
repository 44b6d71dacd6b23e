// Owns what the exit code of a command tells scripts.

/** Exit codes of commands. */
export const Exit = {
  /** It is as asked, or it is done. */
  ok: 0,
  /** The answer is no: not healthy, no such session, not safe to stop in time, not all were ended. */
  no: 1,
  /** A flag or argument cannot be used. */
  unusable: 2,
  /** The admin port does not respond, or refuses the token. */
  unreachable: 3
} as const
