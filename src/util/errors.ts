// Owns what all errors have in common.

export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
