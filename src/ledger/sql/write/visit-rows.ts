// Owns which rows are visits of the same session-less client: found by a keyed hash, so that all instances agree.
import { createHmac } from 'node:crypto'
import { type SessionIds, sessionKey, type StoredId } from '../../../mcp/stored-ids.js'
import type { VisitEvent } from '../../../sessions/events.js'
import type { EpochMs } from '../../../util/time.js'
import { belongsTo, idleAfterMs, mergeVisits } from '../../model/merge.js'
import type { InstanceIdentity, LedgerRules } from '../../store-port.js'
import type { Sql } from '../sql-database.js'
import { insertMany, marks, runs } from '../statements.js'
import { fingerprintKey } from './fingerprint-key.js'
import type { SessionChange } from './session-change.js'

/** The visits to which the visit events of one transaction may belong. */
export class Visits {
  readonly #sql: Sql
  /** The keyed hash, by the digest that events carry. */
  readonly #hashes: ReadonlyMap<string, string>
  readonly #rules: LedgerRules
  /** By keyed hash and `sessionKey`. */
  readonly #byVisitor = new Map<string, Map<string, SessionIds>>()
  readonly #removed: StoredId[] = []

  private constructor(sql: Sql, hashes: ReadonlyMap<string, string>, rules: LedgerRules) {
    this.#sql = sql
    this.#rules = rules
    this.#hashes = hashes
    for (const hash of hashes.values()) this.#byVisitor.set(hash, new Map())
  }

  /** Reads the visits; their endpoints must be locked. */
  static async load(sql: Sql, events: readonly VisitEvent[], rules: LedgerRules): Promise<Visits> {
    if (events.length === 0) return new Visits(sql, new Map(), rules)
    const key = await fingerprintKey(sql)
    const hashOf = (visitor: string): string => createHmac('sha256', key).update(visitor).digest('base64url')
    const hashes = new Map(events.map(({ visitor }) => [visitor, hashOf(visitor)]))
    const visits = new Visits(sql, hashes, rules)
    const earliest = Math.min(...events.map(({ from }) => from))
    await visits.#find(Math.max(0, earliest - idleAfterMs(rules)))
    return visits
  }

  /** The sessions at which `apply` looks: load them into the change before. */
  *known(): Iterable<SessionIds> {
    for (const sessions of this.#byVisitor.values()) yield* sessions.values()
  }

  /** Merges an event into `change`: it continues a visit, begins one, or makes one visit of several. */
  apply(event: VisitEvent, origin: InstanceIdentity, change: SessionChange): void {
    const own = this.#byVisitor.get(this.#hashes.get(event.visitor)!)!
    const met = [...own.keys()]
      .flatMap(key => change.get(key) ?? [])
      .filter(visit => belongsTo(visit, event, this.#rules))
    const merged = mergeVisits(met, event, origin)
    for (const visit of met) {
      if (visit.sessionId === merged.sessionId) continue
      change.remove(visit)
      own.delete(sessionKey(visit))
      this.#removed.push(visit.sessionId)
    }
    change.put(merged)
    own.set(sessionKey(merged), merged)
  }

  /** Notes which clients' visits the records of `change` are. */
  async save(change: SessionChange): Promise<void> {
    await forgetVisits(this.#sql, this.#removed)
    const rows = [...this.#byVisitor].flatMap(([hash, sessions]) =>
      [...sessions.keys()].flatMap(key => {
        const visit = change.get(key)
        return visit
          ? [[visit.sessionId, visit.endpointId, hash, this.#sql.dialect.time(visit.lastSeenAt)]]
          : []
      })
    )
    const columns = ['session_id', 'endpoint_id', 'visitor', 'last_seen_at']
    const onConflict = this.#sql.dialect.onConflict(['session_id'], ['last_seen_at'], [])
    await insertMany(this.#sql, 'turnstile_visits', columns, rows, onConflict)
  }

  async #find(lastSeenAfter: EpochMs): Promise<void> {
    for (const hashes of runs([...this.#byVisitor.keys()])) {
      const found = await this.#sql.all(
        `SELECT visitor, session_id, endpoint_id FROM turnstile_visits WHERE visitor IN (${marks(hashes.length)}) AND last_seen_at > ?`,
        [...hashes, this.#sql.dialect.time(lastSeenAfter)]
      )
      for (const row of found) {
        const session = { endpointId: row.endpoint_id as StoredId, sessionId: row.session_id as StoredId }
        this.#byVisitor.get(row.visitor as string)!.set(sessionKey(session), session)
      }
    }
  }
}

/** Forgets which clients' visits these sessions were. */
export async function forgetVisits(sql: Sql, sessionIds: readonly StoredId[]): Promise<void> {
  for (const ids of runs(sessionIds))
    await sql.run(`DELETE FROM turnstile_visits WHERE session_id IN (${marks(ids.length)})`, ids)
}
