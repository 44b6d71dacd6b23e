// Owns the outcomes of sessions that this process does not know, until the ledger is told of them.
import { sessionKey } from '../mcp/stored-ids.js'
import type { OutcomeEvent } from './events.js'
import { addOutcome } from './outcomes.js'

/** Sessions whose outcomes wait for the next flush. Chosen: some 100 KB; where there are more, they are reported at once. */
const MAX_WAITING = 500

/** Outcomes of sessions that are not known here (any more), until they are reported: the store may know those sessions. */
export class StrayOutcomes {
  readonly #waiting = new Map<string, OutcomeEvent>()

  /** Returns what must be reported now, as no more can wait. */
  add(event: OutcomeEvent): OutcomeEvent[] {
    const key = `${event.transport} ${sessionKey(event)}`
    const waiting = this.#waiting.get(key)
    if (waiting === undefined) this.#waiting.set(key, event)
    else addOutcome(waiting.outcome, event.outcome)
    return this.#waiting.size < MAX_WAITING ? [] : this.take()
  }

  /** Takes out all that wait. */
  take(): OutcomeEvent[] {
    const events = [...this.#waiting.values()]
    this.#waiting.clear()
    return events
  }
}
