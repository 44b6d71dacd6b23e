// Owns what the log says of each session at the level debug: a line for each event, without the session's whole id.
import type { LedgerEvent } from '../../sessions/events.js'
import type { Log } from '../../util/log.js'

/** A logger that may have the level debug. */
export interface DebugLog extends Log {
  isLevelEnabled?(level: string): boolean
  debug?(details: object, message: string): void
}

/** Chosen, as for the ids that the admin port hides: enough to recognise a session, too little to take it over. */
const SHOWN_CHARACTERS = 8

/** Writes a line for each event of a session, if the level is debug. */
export function logEvents(log: DebugLog, events: readonly LedgerEvent[]): void {
  if (log.isLevelEnabled?.('debug') !== true) return
  for (const event of events)
    if (event.type !== 'tool') log.debug?.(detailsOf(event), `session event: ${event.type}`)
}

/** The form in which a session's id may be in a log. */
export const shownId = (id: string): string => `${id.slice(0, Math.min(SHOWN_CHARACTERS, id.length >> 1))}…`

function detailsOf(event: LedgerEvent): object {
  const at = new Date(event.at).toISOString()
  if (event.type === 'restart' || event.type === 'tool') return { at }
  const { endpointId, sessionId } = event
  return {
    endpointId,
    session: shownId(sessionId),
    ...('transport' in event && { transport: event.transport }),
    ...('upstream' in event && { upstream: event.upstream }),
    ...('reason' in event && { reason: event.reason }),
    ...('requests' in event && { requests: event.requests }),
    at
  }
}
