// Owns remembering what was made of a text: hashes take microseconds, and most requests are of sessions that were seen before.

/** Texts that are remembered. Chosen: some megabytes. */
const MAX_REMEMBERED = 10_000

/** The same function, which remembers its results. */
export function remembered(make: (text: string) => string): (text: string) => string {
  const known = new Map<string, string>()
  return text => {
    const before = known.get(text)
    if (before !== undefined) return before
    if (known.size >= MAX_REMEMBERED) known.clear()
    const made = make(text)
    known.set(text, made)
    return made
  }
}
