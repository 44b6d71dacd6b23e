// Owns naming the file of a thread, so that the check of imports sees it as an import.

/** The URL of a thread's file. `specifier`: as in an import, from the module whose `import.meta.url` is `from`. */
export const threadFile = (specifier: string, from: string): URL => new URL(specifier, from)
