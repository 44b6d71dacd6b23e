// Owns the store of the generated histories: it merges what it is told one by one, as the SQL stores do with a batch.
import {
  mayIdle,
  mergeClose,
  mergeOutcome,
  mergeProof,
  presumeClosed,
  type SessionRecord
} from '../../src/ledger/model/merge.js'
import type { InstanceIdentity, LedgerRules } from '../../src/ledger/store-port.js'
import type { CloseEvent, LedgerEvent } from '../../src/sessions/events.js'

export class MergingStore {
  /** By session id. */
  readonly records = new Map<string, SessionRecord>()
  /** Ends told before any proof of their session. */
  readonly #early = new Map<string, CloseEvent[]>()
  readonly #rules: LedgerRules

  constructor(idleTimeoutMs: number) {
    this.#rules = { idleTimeoutMs }
  }

  apply(event: LedgerEvent, origin: InstanceIdentity): void {
    if (event.type === 'visit' || event.type === 'tool') return
    if (event.type === 'restart')
      return this.#lose(event.at, held => held.id === origin.id && held.boot < origin.boot)
    const id = event.sessionId
    const known = this.records.get(id)
    if (event.type === 'outcome') {
      if (known) this.records.set(id, mergeOutcome(known, event))
      return
    }
    if (event.type !== 'close') {
      if (!known && event.type === 'use' && event.ofKnown) return
      const proved = mergeProof(known, event, origin, this.#rules)
      const early = known ? [] : (this.#early.get(id) ?? [])
      this.records.set(
        id,
        early.reduce((record, end) => mergeClose(record, end, this.#rules), proved)
      )
    } else if (known) this.records.set(id, mergeClose(known, event, this.#rules))
    else this.#early.set(id, [...(this.#early.get(id) ?? []), event])
  }

  /** The keeper's round at `now`. */
  endIdle(now: number): void {
    for (const [id, record] of this.records) {
      const idleAt = record.lastSeenAt + this.#rules.idleTimeoutMs
      if (mayIdle(record) && idleAt <= now) this.records.set(id, presumeClosed(record, idleAt, 'idle'))
    }
  }

  /** A proxy was last heard of at `at`: what it held is lost. */
  endHeldBy(instanceId: string, at: number): void {
    this.#lose(at, held => held.id === instanceId)
  }

  #lose(at: number, isGone: (holder: InstanceIdentity) => boolean): void {
    for (const [id, record] of this.records) {
      if (record.holder === null || record.holderBoot === null) continue
      if (isGone({ id: record.holder, boot: record.holderBoot }))
        this.records.set(id, presumeClosed(record, at, 'lost'))
    }
  }
}
