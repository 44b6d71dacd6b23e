// Owns the arithmetic of principals and conversations (pure): how the changes of session rows change what is counted of them.
import type { PrincipalKind } from '../../mcp/principal.js'
import type { StoredId } from '../../mcp/stored-ids.js'
import type { PrincipalRow } from '../store-port.js'
import type { SessionRecord } from './merge.js'

/** What a transaction adds to what is counted of a principal, on one endpoint or on all. */
export interface PrincipalDelta extends Omit<PrincipalRow, 'id' | 'endpointIds'> {
  /** `ALL_ENDPOINTS`: on all together. */
  endpointId: StoredId
}

/** Stands for all endpoints: no id is empty. */
export const ALL_ENDPOINTS: StoredId = ''

type Owned = Pick<
  SessionRecord,
  'endpointId' | 'principal' | 'principalKind' | 'conversation' | 'reason' | 'requestCount' | 'lastSeenAt'
>

/** Sums the differences between rows before and after a transaction. */
export class PeopleDelta {
  readonly #principals = new Map<string, PrincipalDelta>()
  /** How many more sessions are open, by endpoint and conversation. */
  readonly conversations = new Map<StoredId, Map<StoredId, number>>()

  /** What changed of principals, in the order in which all writers lock them. */
  get principals(): PrincipalDelta[] {
    return [...this.#principals]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, delta]) => delta)
      .filter(
        ({ activeNum, sessionNum, requestNum, lastSeenAt }) =>
          activeNum || sessionNum || requestNum || lastSeenAt
      )
  }

  /** Adds the change of one row; `undefined` where there is none before (a new row) or after (a deleted one). */
  change(before: Owned | undefined, after: Owned | undefined): void {
    if (before) this.#add(before, -1)
    if (after) this.#add(after, 1)
  }

  #add(row: Owned, sign: 1 | -1): void {
    const { endpointId, principal, conversation, reason, requestCount, lastSeenAt } = row
    const open = reason === null ? sign : 0
    if (conversation !== null && open !== 0) {
      const ofEndpoint = this.conversations.get(endpointId) ?? new Map<StoredId, number>()
      ofEndpoint.set(conversation, (ofEndpoint.get(conversation) ?? 0) + open)
      this.conversations.set(endpointId, ofEndpoint)
    }
    if (principal === null) return
    for (const place of [ALL_ENDPOINTS, endpointId]) {
      const delta = this.#principal(place, principal, row.principalKind)
      delta.activeNum += open
      delta.sessionNum += sign
      delta.requestNum += sign * requestCount
      if (sign === 1) delta.lastSeenAt = Math.max(delta.lastSeenAt, lastSeenAt)
    }
  }

  #principal(endpointId: StoredId, principal: string, kind: PrincipalKind | null): PrincipalDelta {
    const key = `${endpointId}\n${principal}`
    let delta = this.#principals.get(key)
    if (!delta) {
      delta = { endpointId, principal, kind, activeNum: 0, sessionNum: 0, requestNum: 0, lastSeenAt: 0 }
      this.#principals.set(key, delta)
    }
    return delta
  }
}
