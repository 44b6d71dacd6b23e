// Owns how sessions are counted by something they have: the client, its version, the address, a conversation.
import type { ListedSession } from './sessions.js'

/** How many sessions have the same. */
export interface Share {
  name: string
  count: number
  /** Of those, open ones. */
  open: number
}

/** Counts sessions by name, the most frequent first; those of no name are left out. */
export function breakdown(
  sessions: readonly ListedSession[],
  nameOf: (session: ListedSession) => string | null
): Share[] {
  const shares = new Map<string, Share>()
  for (const session of sessions) {
    const name = nameOf(session)
    if (name === null) continue
    let share = shares.get(name)
    if (!share) shares.set(name, (share = { name, count: 0, open: 0 }))
    share.count++
    if (!session.ended) share.open++
  }
  return [...shares.values()].sort((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1))
}
