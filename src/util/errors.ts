// Owns what all our errors have in common.

/**
 * The root of all errors of ours. `code` is for programs and never changes; the message is for people, one line that says
 * what is wrong and what to do; `cause` is the error behind it, where there is one.
 */
export abstract class TurnstileError extends Error {
  /** Names the kind of error. */
  abstract readonly code: string

  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
  }
}

/** The message of a failure, whatever was thrown. */
export function reasonOf(error: unknown): string {
  // A host with several addresses fails with one error for each address, and no message of its own.
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ')
  return error instanceof Error ? error.message : String(error)
}

/** The code of an error of ours, of Node or of a database; undefined where there is none. */
export const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
